// The versions of a share. The claim on its name has the first one; each later version is a row of its own, so that two that were
// published at partitioned trackers do not overwrite each other: the newest is the one with the highest number, and of two with
// the same number the one with the higher key. Earlier ones are remembered, so that a member who has one can be told.
import type { FileValue, SharedContent, VersionValue } from "../registry/record-values.ts";
import { type Claim, type RegistryReader, type RegistryWriter, recordKey } from "../registry/registry.ts";

/** Later versions of a share that are remembered. Older rows are removed when a new version is published. */
const VERSIONS_KEPT = 8;

export interface Version extends SharedContent {
  /** 0 for the first. */
  readonly number: number;
  readonly publishedByAccountId: string;
}

export type FileClaim = Pick<Claim<FileValue>, "claimId" | "value">;

/** The remembered versions, newest first. There is at least one: the claim's own. */
export function versionsOf(
  reader: RegistryReader,
  { claimId, value }: FileClaim,
): readonly [Version, ...Version[]] {
  const first: Version = { ...value, number: 0, publishedByAccountId: value.sharedByAccountId };
  const rows = reader.list("version", recordKey(claimId, ""));
  if (rows.length === 0) return [first];
  const [newest, ...earlier] = rows.toSorted(byAge).map(({ value: version }) => version);
  return newest === undefined ? [first] : [newest, ...earlier, first];
}

/** What the share's name stands for now. */
export function newestVersion(reader: RegistryReader, claim: FileClaim): Version {
  return versionsOf(reader, claim)[0];
}

/** True if the share has that content, or had it in an earlier version that is remembered. */
export function hasVersion(reader: RegistryReader, claim: FileClaim, infoHash: string): boolean {
  return (
    claim.value.infoHash === infoHash ||
    versionsOf(reader, claim).some((version) => version.infoHash === infoHash)
  );
}

/**
 * Adds a version, which is the newest then, and forgets the oldest ones.
 *
 * @param writeId of the command: a retry at another tracker writes the same key
 */
export function publishVersion(
  writer: RegistryWriter,
  claim: FileClaim,
  writeId: string,
  version: SharedContent & { readonly publishedByAccountId: string },
): void {
  const { number } = newestVersion(writer, claim);
  const value: VersionValue = { ...version, number: number + 1 };
  writer.put("version", recordKey(claim.claimId, writeId), value);
  const rows = writer.list("version", recordKey(claim.claimId, "")).toSorted(byAge);
  for (const { key } of rows.slice(VERSIONS_KEPT)) writer.remove("version", key);
}

/** True if that command has published a version of the share, which is remembered. */
export function hasPublished(reader: RegistryReader, fileClaimId: string, writeId: string): boolean {
  return reader.get("version", recordKey(fileClaimId, writeId)) !== undefined;
}

/** Moves the later versions of a share to another claim on its name. */
export function moveVersions(writer: RegistryWriter, fromClaimId: string, toClaimId: string): void {
  const prefix = recordKey(fromClaimId, "");
  for (const { key, value } of writer.list("version", prefix)) {
    const place = recordKey(toClaimId, key.slice(prefix.length));
    if (writer.get("version", place) === undefined) {
      writer.put("version", place, value, writer.payerOf("version", key));
    }
  }
}

interface VersionRow {
  readonly key: string;
  readonly value: VersionValue;
}

/** Newest first. */
function byAge(one: VersionRow, other: VersionRow): number {
  return other.value.number - one.value.number || (one.key < other.key ? 1 : -1);
}
