// What a registry is: the replicated map that the trackers share. One rule merges any two copies of it: of the same
// row, the one with the higher stamp stays. That is commutative, associative and idempotent, so replicas that have
// seen the same rows are equal, in whatever order they came.
//
// Two shapes of row live in it. A `latest` row has one place per key: a later write replaces it. A `claim` on a name
// has a place of its own per claim (`claimId`, the stamp of the write that made it), so that two claims made apart
// never overwrite each other; the claim that stands is the live one with the lowest claimId, of all claims on names that
// count as the same (`AlikeOf`). What belongs to a claimed
// thing carries the claimId in its key, not the name: it can never fall to somebody who gets the name later.

/** Kinds of row, and how a name is held in each. */
export const recordKinds = {
  user: "claim",
  group: "claim",
  file: "claim",
  credential: "latest",
  device: "latest",
  membership: "latest",
  revocation: "latest",
  share: "latest",
  torrent: "latest",
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
  /** Whose quota its place counts for, tombstone or not; opaque here (see totals.ts). Absent: nobody's. */
  readonly paidBy?: string | undefined;
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

/** Of the row that ends a claim because it lost: whoever sees it knows that nobody wished for the end. */
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
 * What a row adds to which totals; a tombstone takes room too. A function of the row alone, so that replicas with the
 * same rows have the same totals; whoever changes it gives the schema another version (record-table.ts), as totals are
 * stored.
 *
 * @param sizeBytes about what the row takes on disk, with its indexes
 */
export type TotalsOf = (
  row: Pick<RegistryRecord, "kind" | "key" | "claimId" | "value" | "paidBy">,
  sizeBytes: number,
) => Readonly<Record<string, number>>;

/**
 * The same text for all names of a kind of which only one may be held; empty where each name is apart from every other. A
 * function of the name alone, so that the same claims stand at all replicas; whoever changes it gives the schema another
 * version (record-table.ts), as it is stored.
 */
export type AlikeOf = (kind: RecordKind, name: string) => string;

/** Something that is worked out from rows of several places, such as how an account stands to a group. */
export interface DerivedEntry {
  readonly value: unknown;
  /** The lists that it is on: each list's name, and what it is sorted by there, which no other entry of the list has. */
  readonly lists: Readonly<Record<string, string>>;
  /** What it adds to which totals. */
  readonly totals: Readonly<Record<string, number>>;
}

/**
 * How entries are derived from rows. They are kept in the same transaction as the rows, whether those are written here
 * or merged, and are a function of the rows alone: replicas with the same rows have the same entries.
 */
export interface Derivation {
  /** Raised when entries come out differently than before: those that are stored are worked out again at the next start. */
  readonly version: number;
  /** Rows of other kinds have no part in any entry. */
  readonly kinds: readonly RecordKind[];
  /**
   * The places of the entries that a row has a part in. Asked of a row that is new here, and of the one that it replaced.
   * Rows come from other trackers too: it must not throw, whatever the value is.
   */
  placesOf(reader: DerivationReader, row: RegistryRecord): readonly string[];
  /** The entry of that place, by the rows that are here now; undefined if there is none. Must not throw either. */
  entryOf(reader: DerivationReader, place: string): DerivedEntry | undefined;
}

/** What entries are derived from. */
export interface DerivationReader extends RegistryReader {
  /** Ids of all live claims on a name, lowest first: the first one stands. */
  liveClaims(kind: RecordKind, name: string): readonly Stamp[];
}

/** A part of a list of derived entries. */
export interface Page {
  /** Only what comes after that; from the beginning if it is left out. */
  readonly after?: string | undefined;
  readonly limit: number;
  /** From the end: `after` is what comes before. */
  readonly isDescending?: boolean;
}

/** A part of what has keys (of claims: names) with a prefix. */
export interface KeyPage {
  /** Only what comes after that whole key, which begins with the prefix. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** What can be read of a registry. Values are as they were written: the caller knows the type of each kind. */
export interface RegistryReader {
  /** The value of a `latest` row; undefined if there is none or it is deleted. */
  get<V>(kind: RecordKind, key: string): V | undefined;
  /** Live `latest` rows whose key begins with `prefix`, in key order. */
  list<V>(kind: RecordKind, prefix: string, page?: KeyPage): readonly { key: string; value: V }[];
  /** The claim on that very name, if it is live and stands. */
  claim<V>(kind: RecordKind, name: string): Claim<V> | undefined;
  /** The claim that stands on that name or on one that counts as the same: the live one with the lowest claimId. */
  rival<V>(kind: RecordKind, name: string): Claim<V> | undefined;
  /** Keys of live rows (of claims: names, once each) that begin with `prefix`, in order, without reading their values. */
  keys(kind: RecordKind, prefix: string, page: KeyPage): readonly string[];
  /** The claim with that id, if it is live and stands. */
  claimById<V>(kind: RecordKind, claimId: Stamp): Claim<V> | undefined;
  /** Claims that stand whose name begins with `prefix`, in name order. */
  claims<V>(kind: RecordKind, prefix: string, page?: KeyPage): readonly Claim<V>[];
  /** The value that is derived for that place (see `Derivation`); undefined if there is none. */
  derived<V>(place: string): V | undefined;
  /** Derived entries on that list, by what they are sorted by. */
  listed<V>(list: string, page: Page): readonly { sort: string; place: string; value: V }[];
  /** Sum over the rows of what each adds to that total; kept as rows come and go, never added up. */
  total(name: string): number;
  /** True if a row that this command wrote is here. */
  hasWrite(writeId: string): boolean;
}

/** What can be read, and whether it has changed since. */
export interface RevisedReader extends RegistryReader {
  /** Another number once a row of that kind was written: what was worked out from such rows holds while it is the same. */
  revision(kind: RecordKind): number;
  /**
   * Where rows of that kind were written since then, each place perhaps more than once; undefined if that is too long ago to
   * be remembered, or some of it was rolled back.
   */
  placesSince(kind: RecordKind, revision: number): readonly RecordPlace[] | undefined;
}

/** Of a row, without what it says. */
export interface RecordPlace {
  readonly key: string;
  readonly claimId: Stamp | "";
}

/** What can be written in a transaction; reads see what was written before in the same one. */
export interface RegistryWriter extends RegistryReader {
  /** Rows in places that were empty count for this one's quota from now on. A place that was taken keeps who pays for it. */
  chargeTo(payer: string): void;
  /** Who pays for the row in that place; empty if there is none, or nobody does. */
  payerOf(kind: RecordKind, key: string): string;
  /** Claims a name that nobody holds, nor one that counts as the same. The caller has looked. Returns the new claimId. */
  makeClaim(kind: RecordKind, name: string, value: unknown): Stamp;
  /** Replaces the value of a claim. */
  updateClaim(kind: RecordKind, claimId: Stamp, value: unknown): void;
  endClaim(kind: RecordKind, claimId: Stamp): void;
  /** @param payer who pays if the place was empty; otherwise the one given to `chargeTo` */
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
 * Any implementation passes the suite in `test/unit/tracker/registry/compliance.ts`.
 */
export interface Registry extends RevisedReader {
  readonly origin: OriginId;
  readonly vector: VersionVector;
  /** It was begun in place of one that was lost, and has not caught up since: nobody is to rely on what it lacks. */
  readonly isIncomplete: boolean;
  /** The highest stamp that was made or seen here. */
  readonly latestStamp: Stamp;
  /**
   * Takes note of another replica's `latestStamp`: what is written here from now on has higher stamps, unless that one is
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
   * Begins a new incarnation: an old copy of the disk was brought back, and others have writes that it has lost; or the
   * clock was far ahead before, and is set back: then what is written from now on has stamps of the time that it is.
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
