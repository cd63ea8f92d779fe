// The registry in PostgreSQL, with a real server: the suite of every store of rules, and what a database adds to it.
import assert from "node:assert/strict";
import { after, before, describe, it, type TestContext } from "node:test";
import { Client } from "pg";
import { PostgresServer } from "../../harness/postgres.ts";
import { withoutPostgres } from "../../harness/requirements.ts";
import {
  PostgresRegistry,
  type PostgresRegistryOptions,
} from "../../src/tracker/registry/postgres-registry.ts";
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
});
