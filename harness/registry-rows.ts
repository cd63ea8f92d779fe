// Rows of a tracker's registry, written into its database while the tracker does not run: for tests and benchmarks of many.
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { type RegistryWriter, recordKey } from "../src/tracker/registry/registry.ts";
import { SqliteRegistry } from "../src/tracker/registry/sqlite-registry.ts";
import { alikeOf } from "../src/tracker/rules/look-alikes.ts";
import { standingsDerivation } from "../src/tracker/rules/membership-index.ts";
import { shareAnchors } from "../src/tracker/rules/share-anchors.ts";
import { totalsOf } from "../src/tracker/rules/totals.ts";

/** The registry that a tracker with that data folder will start with. */
export function openRegistryIn(dataDir: string): SqliteRegistry {
  return SqliteRegistry.open({
    ...{ path: join(dataDir, "registry.sqlite"), nowMs: Date.now, totalsOf, alikeOf },
    derivation: standingsDerivation,
    anchors: shareAnchors,
  });
}

/** File claims as they are after sharing, without metainfo, evenly over the groups; the last part of a name is a number. */
export async function fillWithFiles(
  registry: SqliteRegistry,
  count: number,
  groupClaimIds: readonly string[],
  accountId: string,
): Promise<void> {
  const CHUNK = 20_000;
  for (let at = 0; at < count; at += CHUNK) {
    await fillRegistry(registry, (writer) => {
      for (let index = at; index < Math.min(count, at + CHUNK); index++) {
        const hash = index.toString(16).padStart(40, "0");
        const file = { infoHash: hash, sha1: hash, lengthBytes: index, sharedByAccountId: accountId };
        const groupClaimId = groupClaimIds[index % groupClaimIds.length] ?? "";
        writer.makeClaim("file", recordKey(groupClaimId, `file-${index}.bin`), file);
      }
    });
  }
}

/** One write, whose claims were answered: those that were not are in doubt, and make work of their own. */
export async function fillRegistry(
  registry: SqliteRegistry,
  work: (writer: RegistryWriter) => void,
): Promise<void> {
  const { records } = await registry.transact(randomUUID(), work);
  await registry.confirm(records.map(({ claimId }) => claimId).filter((claimId) => claimId !== ""));
}

/** A row for each of a group's files that says: that account shares it. */
export async function fillWithSharers(
  registry: SqliteRegistry,
  groupClaimId: string,
  accountId: string,
): Promise<void> {
  const CHUNK = 20_000;
  const [member] = registry.list("membership", recordKey(groupClaimId, accountId, ""));
  let after: string | undefined;
  do {
    const files = registry.claims("file", recordKey(groupClaimId, ""), { after, limit: CHUNK });
    await registry.transact(`shares after ${after}`, (writer) => {
      for (const file of files) {
        const share = { sinceMs: 0, membershipId: member?.value.membershipId };
        writer.put("share", recordKey(file.claimId, accountId, "a machine"), share);
      }
    });
    after = files.length === CHUNK ? files.at(-1)?.name : undefined;
  } while (after !== undefined);
}
