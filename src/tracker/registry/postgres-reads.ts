// Answers reads of rows in hand (rows-in-hand.ts) from PostgreSQL: one statement for each kind of read, each an index look-up.
import { createHash } from "node:crypto";
import type { ClientBase } from "pg";
import { MiniTorrentError } from "../../api/errors.ts";
import { endOfPrefix } from "./keys.ts";
import { isRecordKind } from "./record-table.ts";
import type { DerivedEntry, RecordKind, RegistryRecord } from "./registry.ts";
import type { LiveClaim, RowRead } from "./rows-in-hand.ts";

/** PostgreSQL's `LIMIT` for no limit. */
const NO_LIMIT = null;
const COLUMNS = "kind, key, claim_id, value, stamp, origin, seq, write_id, is_retry, paid_by";
const CLAIM_COLUMNS = "key, claim_id, value, write_id";

/**
 * Whether a read also locks what it is about until the transaction ends. `writing`: a group that a command reads is its own until
 * then, and a user whom it reads stays; so commands of one group follow each other, and those of different groups do not wait.
 * The locks are advisory ones. A lock of a row would give the transaction its id (xid) at once, and ids must have the order in
 * which transactions change the same rows: see change-feed.ts.
 */
export type ReadMode = "reading" | "writing";

type Row = Readonly<Record<string, unknown>>;

export async function answerTo(client: ClientBase, read: RowRead, mode: ReadMode): Promise<unknown> {
  const rows = async (name: string, text: string, values: readonly unknown[]): Promise<readonly Row[]> =>
    (await client.query<Row>({ name, text, values: [...values] })).rows;
  switch (read.of) {
    case "row": {
      const found = await rows(
        "row",
        `SELECT ${COLUMNS} FROM record WHERE kind = $1 AND key = $2 AND claim_id = $3`,
        [read.kind, read.key, read.claimId],
      );
      return found[0] && asRecord(found[0]);
    }
    case "rows": {
      const [first, end] = keyRange(read.prefix, read.after);
      const index = read.isAnchored ? "anchor <> ''" : "value IS NOT NULL";
      const found = await rows(
        `rows ${read.isAnchored}`,
        `SELECT key, value FROM record WHERE kind = $1 AND key >= $2 AND ($3::text IS NULL OR key < $3)
         AND ${index} ORDER BY key LIMIT $4`,
        [read.kind, first, end, limitOf(read.limit)],
      );
      return found.map(({ key, value }) => ({ key: text(key), value: JSON.parse(text(value)) }));
    }
    case "keys": {
      const [first, end] = keyRange(read.prefix, read.after);
      const found = await rows(
        "keys",
        `SELECT DISTINCT key FROM record WHERE kind = $1 AND key >= $2 AND ($3::text IS NULL OR key < $3)
         AND value IS NOT NULL ORDER BY key LIMIT $4`,
        [read.kind, first, end, limitOf(read.limit)],
      );
      return found.map(({ key }) => text(key));
    }
    case "liveClaims": {
      const contest = "alike" in read ? read.alike : read.name;
      if (mode === "writing" && isLocked(read.kind)) return await claimsLocked(client, read.kind, contest);
      const found = await rows(
        "live claims",
        `SELECT ${CLAIM_COLUMNS} FROM record WHERE kind = $1 AND contest = $2 AND contest IS NOT NULL`,
        [read.kind, contest],
      );
      return found.map(asClaim);
    }
    case "claimRow": {
      const find = async () => {
        const [found] = await rows(
          "claim row",
          `SELECT ${COLUMNS}, contest FROM record WHERE kind = $1 AND claim_id = $2 AND claim_id <> ''`,
          [read.kind, read.claimId],
        );
        return found;
      };
      const found = await find();
      if (found === undefined || mode === "reading" || !isLocked(read.kind)) return found && asRecord(found);
      if (typeof found.contest !== "string") return asRecord(found); // it has ended for good
      await claimsLocked(client, read.kind, found.contest);
      const now = await find(); // it may have changed before the lock
      return now && asRecord(now);
    }
    case "claims": {
      const [first, end] = keyRange(read.prefix, read.after);
      const found = await rows(
        "claims",
        `SELECT ${CLAIM_COLUMNS} FROM record WHERE kind = $1 AND key >= $2 AND ($3::text IS NULL OR key < $3)
         AND value IS NOT NULL ORDER BY key, claim_id LIMIT $4`,
        [read.kind, first, end, limitOf(read.limit)],
      );
      return found.map(asClaim);
    }
    case "derived": {
      const [found] = await rows("derived", "SELECT value, lists, totals FROM derived WHERE place = $1", [
        read.place,
      ]);
      return found && asEntry(found);
    }
    case "listed": {
      const [comparison, order] = read.isDescending ? ["<", "DESC"] : [">", "ASC"];
      const found = await rows(
        `listed ${order}`,
        `SELECT sort, place, value FROM listed JOIN derived USING (place)
         WHERE list = $1 AND ($2::text IS NULL OR sort ${comparison} $2) ORDER BY sort ${order} LIMIT $3`,
        [read.list, read.after ?? null, limitOf(read.limit)],
      );
      return found.map(({ sort, place, value }) => ({
        sort: text(sort),
        place: text(place),
        value: JSON.parse(text(value)),
      }));
    }
    case "total": {
      const [found] = await rows("total", "SELECT sum(amount)::text AS amount FROM total WHERE name = $1", [
        read.name,
      ]);
      return Number(found?.amount ?? 0);
    }
    case "write":
      return (
        (await rows("write", "SELECT 1 FROM record WHERE write_id = $1 LIMIT 1", [read.writeId])).length > 0
      );
    case "anchorEnded":
      return (await rows("anchor", "SELECT 1 FROM ended_anchor WHERE anchor = $1", [read.anchor])).length > 0;
  }
}

/** Other kinds of rows belong to a group or a user. */
function isLocked(kind: RecordKind): boolean {
  return kind === "group" || kind === "user";
}

async function claimsLocked(
  client: ClientBase,
  kind: RecordKind,
  contest: string,
): Promise<readonly LiveClaim[]> {
  const { rows } = await client.query<Row>({
    name: "claims locked",
    text: `SELECT ${CLAIM_COLUMNS} FROM claims_locked($1, $2, $3, $4)`,
    values: [kind, contest, lockOf(kind, contest), kind === "user"],
  });
  return rows.map(asClaim);
}

/**
 * Waits until no other transaction has read that user: before its claim is written.
 *
 * @param contest of the claim, see postgres-schema.ts
 */
export async function lockUser(client: ClientBase, contest: string): Promise<void> {
  await client.query({
    name: "lock user",
    text: "SELECT pg_advisory_xact_lock($1)",
    values: [lockOf("user", contest)],
  });
}

/** 64 bits of a hash: two names with the same one only wait for each other. */
function lockOf(kind: RecordKind, contest: string): string {
  return createHash("sha256")
    .update(JSON.stringify([kind, contest]))
    .digest()
    .readBigInt64BE()
    .toString();
}

function asRecord(row: Row): RegistryRecord {
  const kind = text(row.kind);
  if (!isRecordKind(kind)) throw malformed(`the kind '${kind}'`);
  return {
    kind,
    key: text(row.key),
    claimId: text(row.claim_id),
    value: row.value === null ? undefined : JSON.parse(text(row.value)),
    stamp: text(row.stamp),
    origin: text(row.origin),
    seq: Number(row.seq), // a bigint arrives as text
    writeId: text(row.write_id),
    ...(row.is_retry === true ? { isRetry: true } : {}),
    ...(row.paid_by === "" ? {} : { paidBy: text(row.paid_by) }),
  };
}

function asClaim(row: Row): LiveClaim {
  return {
    name: text(row.key),
    claimId: text(row.claim_id),
    value: JSON.parse(text(row.value)),
    writeId: text(row.write_id),
  };
}

function asEntry(row: Row): DerivedEntry {
  return {
    value: JSON.parse(text(row.value)),
    lists: JSON.parse(text(row.lists)),
    totals: JSON.parse(text(row.totals)),
  };
}

/** The lowest key of a range, and the first one after it; null: there is none. */
function keyRange(prefix: string, after: string | undefined): [string, string | null] {
  // Keys contain no NUL, and nothing comes before U+0001.
  const first = after === undefined ? prefix : `${after}\u0001`;
  return [first, endOfPrefix(prefix) ?? null];
}

function limitOf(limit: number): number | null {
  return Number.isFinite(limit) ? limit : NO_LIMIT;
}

function text(value: unknown): string {
  if (typeof value !== "string") throw malformed("a column that is not text");
  return value;
}

function malformed(what: string): MiniTorrentError {
  return new MiniTorrentError("INTERNAL", `The database has ${what} where this version expects another.`);
}
