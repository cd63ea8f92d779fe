// What a registry is: the replicated map that the trackers share. One rule merges any two copies of it: of the same
// row, the one with the higher stamp stays. That is commutative, associative and idempotent, so replicas that have
// seen the same rows are equal, in whatever order they came.
//
// Two shapes of row live in it. A `latest` row has one place per key: a later write replaces it. A `claim` on a name
// has a place of its own per claim (`claimId`, the stamp of the write that made it), so that two claims made apart
// never overwrite each other; the claim that stands is the live one with the lowest claimId, of all claims on names that
// count as the same (`AlikeOf`). What belongs to a claimed
// thing carries the claimId in its key, not the name: it can never fall to somebody who gets the name later.
import type { RecordValues } from "./record-values.ts";

/** Kinds of row, and how a name is held in each. */
export const recordKinds = {
  user: "claim",
  group: "claim",
  file: "claim",
  credential: "latest",
  device: "latest",
  membership: "latest",
  revocation: "latest",
  invite: "latest",
  inviteRevocation: "latest",
  inviteUse: "latest",
  version: "latest",
  share: "latest",
  torrent: "latest",
  infoUpload: "latest",
  infoPart: "latest",
} as const;
export type RecordKind = keyof typeof recordKinds;

/** A hybrid logical clock reading as text that sorts in time order: milliseconds, counter, tracker (see stamp.ts). */
export type Stamp = string;
/** One incarnation of one tracker's registry. */
export type OriginId = string;
/** Origin → how many of its writes (its highest `seq`) a replica has, without a gap. */
export type VersionVector = Readonly<Record<OriginId, number>>;

/** A row as it is stored and as it travels. */
export interface RegistryRecord {
  readonly kind: RecordKind;
  /** For a claim, the name that is claimed; otherwise the place of the row. Parts are joined by `recordKey`. */
  readonly key: string;
  /** For a claim, the stamp of its first write; empty otherwise. */
  readonly claimId: Stamp | "";
  /** JSON value; undefined is a tombstone. */
  readonly value: unknown;
  readonly stamp: Stamp;
  /** Whose `seq`-th write this was. */
  readonly origin: OriginId;
  readonly seq: number;
  /** The command that wrote it, so that the same command tried again is known. */
  readonly writeId: string;
  /** Set if the command was asked before, at a tracker that did not answer: of what both wrote, this was answered. */
  readonly isRetry?: true | undefined;
  /** The payer whose quota the row counts for, tombstone or not; opaque here (see totals.ts). Absent: no payer. */
  readonly paidBy?: string | undefined;
}

/** The value of a row if the row is of that kind; undefined for another kind and for a tombstone. */
export function valueOfKind<K extends RecordKind>(
  kind: K,
  row: Pick<RegistryRecord, "kind" | "value">,
): RecordValues[K] | undefined {
  return row.kind === kind ? (row.value as RecordValues[K] | undefined) : undefined;
}

/** Parts of a key joined so that they sort and can be searched by prefix; U+001F cannot be in a name. */
export function recordKey(...parts: readonly string[]): string {
  return parts.join("\u001f");
}

/**
 * Of a row that ends one of two claims which one command made at two trackers: the id of the one that is kept. What hangs
 * on the ended one moves there.
 */
export function keptTwinOf({ claimId, value, writeId }: RegistryRecord): Stamp | undefined {
  const [word, ended, kept] = writeId.split(":");
  return value === undefined && word === "twin" && ended === claimId ? kept : undefined;
}

/** Write id of a row that ends a losing claim, so that a reader knows that no user ended it. */
export function lostWriteId(claimId: Stamp): string {
  return `lost:${claimId}`;
}

/** A claim that stands (or stood): the name, the identity behind it, and the value. */
export interface Claim<V> {
  readonly name: string;
  readonly claimId: Stamp;
  readonly value: V;
  /** The command that wrote it last. */
  readonly writeId: string;
}

/**
 * What a row adds to which totals; tombstones count too. A function of the row alone, so that replicas with the
 * same rows have the same totals. Totals are stored, so a change needs another schema version (record-table.ts).
 * stored.
 *
 * @param sizeBytes approximate size on disk, with its indexes
 */
export type TotalsOf = (
  row: Pick<RegistryRecord, "kind" | "key" | "claimId" | "value" | "paidBy">,
  sizeBytes: number,
) => Readonly<Record<string, number>>;

/**
 * A key that is equal for all names of a kind of which only one may be held; empty where every name is distinct. A
 * function of the name alone, so that the same claims stand at all replicas. It is stored, so a change needs another schema
 * version (record-table.ts), as it is stored.
 */
export type AlikeOf = (kind: RecordKind, name: string) => string;

/**
 * Rows that count only as long as something else lasts, their anchor: a share does while its membership lasts. A row whose
 * anchor has ended counts for nothing, whatever is written to it with the same anchor. Both functions are stored results:
 * a change needs another schema version (record-table.ts). They must not throw, since rows come from other trackers too.
 */
export interface Anchors {
  /** The row's anchor; empty if it has none, or counts for nothing by itself. */
  anchorOf(row: Pick<RegistryRecord, "kind" | "key" | "value">): string;
  /** The anchor that this row ends for good. */
  endedBy(row: Pick<RegistryRecord, "kind" | "key" | "value">): string | undefined;
}

/** A value derived from several rows, such as an account's standing in a group. */
export interface DerivedEntry {
  readonly value: unknown;
  /** Its lists: each list's name → its sort key there, which is unique in the list. */
  readonly lists: Readonly<Record<string, string>>;
  /** Its contribution to totals. */
  readonly totals: Readonly<Record<string, number>>;
}

/**
 * How entries are derived from rows. They are updated in the same transaction as the rows, whether those are written here
 * or merged, and are a function of the rows alone: replicas with the same rows have the same entries.
 */
export interface Derivation {
  /** Increase it when entries are derived differently; stored ones are then derived again at the next start. */
  readonly version: number;
  /** Kinds of rows that entries depend on. */
  readonly kinds: readonly RecordKind[];
  /**
   * The places of the entries that depend on a row. Called for a row that is new here, and for the one that it replaced.
   * It must not throw for any value, since rows come from other trackers too.
   */
  placesOf(reader: DerivationReader, row: RegistryRecord): readonly string[];
  /** The entry of that place, from the current rows; undefined if there is none. Must not throw either. */
  entryOf(reader: DerivationReader, place: string): DerivedEntry | undefined;
}

/** Read access for derivations. */
export interface DerivationReader extends RegistryReader {
  /** Ids of all live claims on a name, lowest first: the first one stands. */
  liveClaims(kind: RecordKind, name: string): readonly Stamp[];
}

/** A range of a list of derived entries. */
export interface Page {
  /** Exclusive lower bound; from the beginning if absent. */
  readonly after?: string | undefined;
  readonly limit: number;
  /** Reads backwards from the end; `after` is then the upper bound. */
  readonly isDescending?: boolean;
}

/** A range of keys (for claims: names) with a prefix. */
export interface KeyPage {
  /** Exclusive lower bound: a whole key that begins with the prefix. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** What can be read of a registry. Values are as they were written; the kind gives their type. */
export interface RegistryReader {
  /** The value of a `latest` row; undefined if there is none or it is deleted. */
  get<K extends RecordKind>(kind: K, key: string): RecordValues[K] | undefined;
  /** Live `latest` rows whose key begins with `prefix`, in key order. */
  list<K extends RecordKind>(
    kind: K,
    prefix: string,
    page?: KeyPage,
  ): readonly { key: string; value: RecordValues[K] }[];
  /** Like `list`, without rows that have no anchor; those whose anchor ended may be in it for some seconds. */
  anchored<K extends RecordKind>(
    kind: K,
    prefix: string,
    page: KeyPage,
  ): readonly { key: string; value: RecordValues[K] }[];
  /** The claim on exactly that name, if it is live and stands. */
  claim<K extends RecordKind>(kind: K, name: string): Claim<RecordValues[K]> | undefined;
  /** The claim that stands on that name or on one that counts as the same: the live one with the lowest claimId. */
  rival<K extends RecordKind>(kind: K, name: string): Claim<RecordValues[K]> | undefined;
  /** Keys of live rows (for claims: names, once each) that begin with `prefix`, in order, without reading values. */
  keys(kind: RecordKind, prefix: string, page: KeyPage): readonly string[];
  /** The claim with that id, if it is live and stands. */
  claimById<K extends RecordKind>(kind: K, claimId: Stamp): Claim<RecordValues[K]> | undefined;
  /** Claims that stand whose name begins with `prefix`, in name order. */
  claims<K extends RecordKind>(kind: K, prefix: string, page?: KeyPage): readonly Claim<RecordValues[K]>[];
  /** The derived value of that place (see `Derivation`); undefined if there is none. */
  derived<V>(place: string): V | undefined;
  /** Derived entries of that list, in order of their sort keys. */
  listed<V>(list: string, page: Page): readonly { sort: string; place: string; value: V }[];
  /** The sum of all rows' contributions to that total; maintained incrementally. */
  total(name: string): number;
  /** True if a row that this command wrote is here. */
  hasWrite(writeId: string): boolean;
}

/** What can be read, and whether it has changed since. */
export interface RevisedReader extends RegistryReader {
  /** Another number once a row of that kind was written: what was worked out from such rows holds while it is the same. */
  revision(kind: RecordKind): number;
  /**
   * Keys of rows of that kind written since that revision, possibly repeated, and of those that were rolled back; undefined
   * if it is too long ago to be remembered.
   */
  placesSince(kind: RecordKind, revision: number): readonly RecordPlace[] | undefined;
}

/** A row without its value. */
export interface RecordPlace {
  readonly key: string;
  readonly claimId: Stamp | "";
}

/** What can be written in a transaction; reads see what was written before in the same one. */
export interface RegistryWriter extends RegistryReader {
  /** Sets the payer of rows with new keys. An existing row keeps its payer. */
  chargeTo(payer: string): void;
  /** The payer of the row with that key; empty if there is no row or no payer. */
  payerOf(kind: RecordKind, key: string): string;
  /** Claims a name; the caller has checked that no name that counts as the same is held. Returns the new claimId. */
  makeClaim(kind: RecordKind, name: string, value: unknown): Stamp;
  /** Replaces the value of a claim. */
  updateClaim(kind: RecordKind, claimId: Stamp, value: unknown): void;
  endClaim(kind: RecordKind, claimId: Stamp): void;
  /** @param payer of a row with a new key; by default the one given to `chargeTo` */
  put(kind: RecordKind, key: string, value: unknown, payer?: string): void;
  remove(kind: RecordKind, key: string): void;
}

/** A claim that an earlier one, heard of later, beats. */
export interface LostClaim {
  readonly kind: RecordKind;
  readonly name: string;
  readonly claimId: Stamp;
  readonly value: unknown;
}

/** What merging rows of another replica did. */
export interface MergeResult {
  /** Rows that are new here. */
  readonly changed: readonly RegistryRecord[];
  /** Claims that stood until now and are beaten by one that came in. */
  readonly lostClaims: readonly LostClaim[];
  /**
   * Rows written here that end those of them that were made here: in the same commit, so that no crash can leave one
   * live to come back when the claim that beat it ends. Also what ends the earlier of two claims that one command made
   * at two trackers, and claims in doubt that met another one. Others must hear of them.
   */
  readonly endings: readonly RegistryRecord[];
  /** True if `upTo` was not believed, because what comes before the rows is missing here. */
  readonly hasGap: boolean;
}

/**
 * One tracker's copy of the replicated map, durable once a promise has resolved.
 * Any implementation passes the suites in `test/unit/tracker/registry/`: compliance.ts, and rule-store-compliance.ts for `RuleStore`.
 */
export interface Registry extends RevisedReader {
  readonly origin: OriginId;
  readonly vector: VersionVector;
  /** It replaces a lost registry and has not caught up: the absence of a row proves nothing. */
  readonly isIncomplete: boolean;
  /** The highest stamp that was made or seen here. */
  readonly latestStamp: Stamp;
  /**
   * Observes another replica's `latestStamp`: later writes here get higher stamps, unless that one is
   * from the far future.
   *
   * @throws MiniTorrentError MALFORMED_MESSAGE for a stamp that no clock can have made
   */
  observe(stamp: Stamp): void;
  /** True if this registry made that stamp, in this incarnation or an earlier one. */
  isOwn(stamp: Stamp): boolean;
  /**
   * True for a claim made by a tracker that died, this one or another, and of which nobody is known to have been told: it
   * yields to any other claim on its name, whichever is earlier.
   */
  isDoubtful(claimId: Stamp): boolean;
  readonly doubtfulClaims: readonly Stamp[];
  /**
   * Doubtful claims whose rows a replica with that vector has, and does not doubt: it heard of them before their tracker
   * died, and has given their names to nobody else. They are in doubt no more.
   */
  settle(vector: VersionVector, doubtful: readonly Stamp[]): Promise<void>;
  /** Somebody is told of those claims, or was: they are not in doubt, also not after a restart from then on. */
  confirm(claimIds: readonly Stamp[]): Promise<void>;
  /**
   * Begins a new incarnation: an old copy of the disk was restored, and others have writes that it lost; or the
   * clock was far ahead and has been set back, and later writes get stamps of the right time.
   */
  renewOrigin(clock?: "goes on" | "is set back"): OriginId;
  /**
   * Runs `work` as one transaction: all of its rows or, if it throws, none. What it throws is what the promise rejects
   * with. Several may share one commit to disk.
   *
   * @param isRetry the command was asked before, at a tracker that did not answer
   * @returns what `work` returned, and the rows it wrote, once they are on disk
   */
  transact<T>(
    writeId: string,
    work: (writer: RegistryWriter) => T,
    isRetry?: boolean,
  ): Promise<{ result: T; records: RegistryRecord[] }>;
  /**
   * Merges rows that another replica sent. `upTo`: the sender says that with these rows this replica has all it has,
   * if it had all up to `after` before. `doubtful`: those of the claims that are in doubt where they come from. A row whose
   * stamp is from the far future is merged as any other, and does not move the clock here.
   *
   * @throws MiniTorrentError MALFORMED_MESSAGE for a stamp that no clock can have made
   */
  merge(
    records: readonly RegistryRecord[],
    upTo?: VersionVector,
    after?: VersionVector,
    doubtful?: readonly Stamp[],
  ): Promise<MergeResult>;
  /** True while rows are left to be taken out of what `anchored` reads, since their anchor ended. */
  readonly hasAnchoredLeft: boolean;
  /** Takes the next of them out, so that whoever looks for rows that count does not read those that ended. */
  dropAnchored(limit: number): Promise<void>;
  /** What is here of the rows that this command wrote, in the order of their seq. */
  rowsOfWrite(writeId: string): RegistryRecord[];
  /** The row in that place, standing or not, tombstone or not. */
  row(kind: RecordKind, key: string, claimId: Stamp | ""): RegistryRecord | undefined;
  /**
   * Rows that a replica with that vector lacks, in (origin, seq) order: about `limit` a call, and no more than some
   * megabytes. An empty answer says that there are none.
   */
  since(vector: VersionVector, limit: number): RegistryRecord[];
  /** SHA-256 over all rows: equal for equal contents. */
  digest(): string;
  close(): void;
}
