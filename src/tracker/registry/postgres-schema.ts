// The tables of a registry in PostgreSQL, as numbered migrations that run once. Text is compared by its UTF-8 bytes (collation
// "C"), as SQLite does.
import type { ClientBase } from "pg";

/** Serialises the migrations of processes that start together. Any number that nothing else here uses. */
const MIGRATION_LOCK = 7_411_001;

/**
 * `contest` is equal for live claims of which only one may be, and null for everything else: the database enforces what rules
 * check. A total is spread over rows (`part`), so that commands do not wait for each other at a count of everything.
 * `claims_locked` waits for the lock and then reads: one statement would read as of the moment before it waited.
 */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE record (
     kind text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, claim_id text COLLATE "C" NOT NULL, value text,
     stamp text COLLATE "C" NOT NULL, origin text COLLATE "C" NOT NULL, seq bigint NOT NULL,
     write_id text COLLATE "C" NOT NULL, is_retry boolean NOT NULL, paid_by text COLLATE "C" NOT NULL,
     contest text COLLATE "C", anchor text COLLATE "C" NOT NULL,
     PRIMARY KEY (kind, key, claim_id)
   );
   CREATE INDEX record_live ON record (kind, key, claim_id) WHERE value IS NOT NULL;
   CREATE INDEX record_claim ON record (kind, claim_id) WHERE claim_id <> '';
   CREATE UNIQUE INDEX record_contest ON record (kind, contest) WHERE contest IS NOT NULL;
   CREATE INDEX record_anchored ON record (kind, key) WHERE anchor <> '';
   CREATE INDEX record_anchor ON record (anchor) WHERE anchor <> '';
   CREATE INDEX record_write ON record (write_id);
   CREATE TABLE ended_anchor (anchor text COLLATE "C" PRIMARY KEY);
   CREATE TABLE derived (
     place text COLLATE "C" PRIMARY KEY, value text NOT NULL, lists text NOT NULL, totals text NOT NULL
   );
   CREATE TABLE listed (
     list text COLLATE "C" NOT NULL, sort text COLLATE "C" NOT NULL, place text COLLATE "C" NOT NULL,
     PRIMARY KEY (list, sort)
   );
   CREATE TABLE total (
     name text COLLATE "C" NOT NULL, part smallint NOT NULL, amount bigint NOT NULL, PRIMARY KEY (name, part)
   );
   CREATE TABLE change (
     position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(), made_at timestamptz NOT NULL DEFAULT now(), rows text NOT NULL
   );
   CREATE INDEX change_order ON change (transaction_id, position);
   CREATE FUNCTION claims_locked(of_kind text, of_contest text, lock bigint, is_shared boolean)
   RETURNS TABLE (key text, claim_id text, value text, write_id text) LANGUAGE plpgsql VOLATILE AS $$
   BEGIN
     IF is_shared THEN PERFORM pg_advisory_xact_lock_shared(lock); ELSE PERFORM pg_advisory_xact_lock(lock); END IF;
     RETURN QUERY SELECT r.key, r.claim_id, r.value, r.write_id FROM record AS r
       WHERE r.kind = of_kind AND r.contest = of_contest AND r.contest IS NOT NULL;
   END $$;`,
];

/** Makes the tables, or brings them to this version's form. Several processes may call it at a time. */
export async function migrate(client: ClientBase): Promise<void> {
  await client.query("BEGIN");
  try {
    await client.query("SELECT pg_advisory_xact_lock($1)", [MIGRATION_LOCK]);
    await client.query("CREATE TABLE IF NOT EXISTS migration (number integer PRIMARY KEY)");
    const { rows } = await client.query<{ last: number | null }>("SELECT max(number) AS last FROM migration");
    const last = rows[0]?.last ?? 0;
    if (last > MIGRATIONS.length) {
      throw new Error(`its tables have the form ${last}, and this version knows ${MIGRATIONS.length}`);
    }
    for (const [index, statements] of MIGRATIONS.entries()) {
      if (index < last) continue;
      await client.query(statements);
      await client.query("INSERT INTO migration (number) VALUES ($1)", [index + 1]);
    }
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  }
}
