// The registry in PostgreSQL, with a real server: the suite of every store of rules, and what a database adds to it.
import assert from "node:assert/strict";
import { after, before, describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { PostgresServer } from "../../harness/postgres.ts";
import { withoutPostgres } from "../../harness/requirements.ts";
import { ChangeFeed } from "../../src/tracker/registry/change-feed.ts";
import {
  PostgresRegistry,
  type PostgresRegistryOptions,
} from "../../src/tracker/registry/postgres-registry.ts";
import type { RegistryRecord } from "../../src/tracker/registry/registry.ts";
import { ruleStoreCompliance } from "../unit/tracker/registry/rule-store-compliance.ts";

describe("the registry in PostgreSQL", { skip: withoutPostgres() }, () => {
  let server: PostgresServer;
  before(async () => {
    server = await PostgresServer.start();
  });
  after(() => server.close());

  async function open(context: TestContext, url: string, options: Partial<PostgresRegistryOptions> = {}) {
    const registry = await PostgresRegistry.open({ url, nowMs: Date.now, ...options });
    context.after(() => registry.close());
    return registry;
  }

  ruleStoreCompliance(
    "PostgreSQL",
    async (context, options) => open(context, await server.database(), options),
    0.2,
  );

  it("makes its tables once, however many processes start at a time", async (context) => {
    const url = await server.database();
    const registries = await Promise.all(Array.from({ length: 4 }, () => open(context, url)));
    const [first, second] = registries;
    await first?.transact("w", (writer) => writer.put("torrent", "a", 1));
    assert.equal(await second?.query((reader) => reader.get("torrent", "a")), 1);
  });

  it("refuses tables of a later version", async (context) => {
    const url = await server.database();
    await open(context, url);
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query("INSERT INTO migration (number) VALUES (99)");
    await client.end();
    await assert.rejects(PostgresRegistry.open({ url, nowMs: Date.now }), /have the form 99/);
  });

  it("answers REGISTRY_UNREACHABLE at once while the database is down, and works again when it is back", async (context) => {
    const own = await PostgresServer.start(true);
    context.after(() => own.close());
    const registry = await open(context, await own.database());
    await registry.transact("w", (writer) => writer.put("torrent", "a", 1));
    await own.kill();
    const startedMs = performance.now();
    await assert.rejects(
      registry.query((reader) => reader.get("torrent", "a")),
      { code: "REGISTRY_UNREACHABLE" },
    );
    await assert.rejects(
      registry.transact("w2", (writer) => writer.put("torrent", "b", 1)),
      {
        code: "REGISTRY_UNREACHABLE",
      },
    );
    assert.ok(performance.now() - startedMs < 2_000);
    await own.run();
    await registry.transact("w3", (writer) => writer.put("torrent", "c", 1));
    assert.deepEqual(await registry.query((reader) => reader.keys("torrent", "", { limit: 9 })), ["a", "c"]);
  });

  it("notes each transaction in the table of changes with its rows, once", async (context) => {
    const url = await server.database();
    const registry = await open(context, url);
    const { records } = await registry.transact("w", (writer) => {
      writer.put("torrent", "a", 1);
      writer.put("torrent", "b", 2);
    });
    await registry.transact("w2", (writer) => writer.get("torrent", "a"));
    const client = new Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query<{ rows: string }>("SELECT rows FROM change");
    await client.end();
    assert.deepEqual(
      rows.map((row) => JSON.parse(row.rows)),
      [records],
    );
  });

  async function feedOf(context: TestContext, url: string) {
    const told: (readonly RegistryRecord[])[] = [];
    const reachable: boolean[] = [];
    const feed = new ChangeFeed({
      url,
      clock: { nowMs: () => performance.now(), setTimer },
      onChange: (records) => told.push(records),
      onReachable: (isReachable) => reachable.push(isReachable),
    });
    await feed.open();
    context.after(() => feed.close());
    return { reachable, told };
  }

  it("tells every process of every change, once and in the order of those to one group", async (context) => {
    const url = await server.database();
    const registries = await Promise.all([open(context, url), open(context, url)]);
    await registries[0]?.transact("w", (writer) => writer.makeClaim("group", "films", { changes: 0 }));
    const feeds = await Promise.all([feedOf(context, url), feedOf(context, url)]);
    const count = 60;
    await Promise.all(
      Array.from({ length: count }, (_, index) =>
        registries[index % 2]?.transact(`w${index}`, (writer) => {
          const group = writer.claim("group", "films");
          const { changes = 0 } = (group?.value ?? {}) as { changes?: number };
          writer.updateClaim("group", group?.claimId ?? "", { changes: changes + 1 });
          writer.put("torrent", String(index), 1);
        }),
      ),
    );
    for (const { told } of feeds) {
      await until(() => told.length >= count);
      const values = told.map(([row]) => (row?.value as { changes: number } | undefined)?.changes);
      assert.deepEqual(
        values,
        Array.from({ length: count }, (_, index) => index + 1),
      );
    }
  });

  it("tells nothing that was there before, and everything that was written while the database was away", async (context) => {
    const own = await PostgresServer.start(true);
    context.after(() => own.close());
    const url = await own.database();
    const registry = await open(context, url);
    await registry.transact("w", (writer) => writer.put("torrent", "before", 1));
    const { reachable, told } = await feedOf(context, url);
    await own.kill();
    await until(() => reachable.length === 1);
    await own.run();
    await registry.transact("w2", (writer) => writer.put("torrent", "after", 1));
    await until(() => told.length > 0);
    assert.deepEqual(
      told.map((records) => records.map(({ key }) => key)),
      [["after"]],
    );
    assert.deepEqual(reachable, [false, true]);
  });

  it("waits for a change with a lower transaction id that is not committed yet", async (context) => {
    const url = await server.database();
    const registry = await open(context, url);
    const { told } = await feedOf(context, url);
    const slow = new Client({ connectionString: url });
    await slow.connect();
    context.after(() => slow.end());
    await slow.query("BEGIN");
    await slow.query("INSERT INTO change (rows) VALUES ('[]')");
    await registry.transact("w", (writer) => writer.put("torrent", "later", 1));
    await sleep(200);
    assert.equal(told.length, 0, "the other one may come before it");
    await slow.query("COMMIT");
    await until(() => told.length === 2);
    assert.deepEqual(
      told.map((records) => records.length),
      [0, 1],
    );
  });
});

function setTimer(delayMs: number, callback: () => void): () => void {
  const timer = setTimeout(callback, delayMs);
  return () => clearTimeout(timer);
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!holds()) {
    assert.ok(performance.now() < deadline, "it did not come about in time");
    await sleep(10);
  }
}
