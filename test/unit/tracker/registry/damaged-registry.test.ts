// A registry that is damaged or missing: it is set aside and filled from another tracker, or the tracker does not start. No
// empty registry passes for a complete one.
import assert from "node:assert/strict";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import type { TrackerAddress } from "../../../../src/api/addresses.ts";
import { createDeviceIdentity } from "../../../../src/identity/certificates.ts";
import { CERTIFICATE_FILE } from "../../../../src/identity/stored-identity.ts";
import { REGISTRY_FILE } from "../../../../src/tracker/data-directory.ts";
import { openRegistry, reportLoss, suspect } from "../../../../src/tracker/registry/damaged-registry.ts";
import { SqliteRegistry } from "../../../../src/tracker/registry/sqlite-registry.ts";

const options = { nowMs: Date.now };
const NOBODY: TrackerAddress = { host: "127.0.0.1", port: 1 };

/** A data directory of a tracker, and how it opens its registry. */
function place(t: TestContext, { hasRun = true } = {}) {
  const dataDir = mkdtempSync(join(tmpdir(), "damaged-"));
  t.after(() => rmSync(dataDir, { recursive: true }));
  if (hasRun) writeFileSync(join(dataDir, CERTIFICATE_FILE), "there");
  const path = join(dataDir, REGISTRY_FILE);
  const logged: { level: number; msg: string; rows?: number; kept?: string }[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void logged.push(JSON.parse(line)) });
  const open = async (...others: readonly TrackerAddress[]) => {
    const registry = await openRegistry({ dataDir, others, log }, options);
    t.after(() => registry.close());
    return registry;
  };
  return { dataDir, path, log, logged, open };
}

/** A registry with some rows, closed. @returns its version vector */
async function fill(path: string, rows = 3) {
  const registry = SqliteRegistry.open({ path, ...options });
  await registry.transact("w", (writer) => {
    for (let at = 0; at < rows; at++) writer.put("share", `row ${at}`, at);
  });
  const { vector } = registry;
  registry.close();
  return vector;
}

/** A row is changed behind the tracker's back: the file can still be read, and its digest is not right. */
function tamper(path: string): void {
  const database = new DatabaseSync(path);
  database.exec("UPDATE record SET value = '77' WHERE key = 'row 1'");
  database.close();
}

/** Something at the address of another tracker, and what it was asked. */
async function another(
  t: TestContext,
  answer: string | ((path: string | undefined) => string | undefined) = '{"isServing":true}',
) {
  const identity = await createDeviceIdentity();
  const server = createServer(
    { key: identity.privateKeyPem, cert: identity.certificatePem },
    ({ url }, response) => {
      const body = typeof answer === "string" ? answer : answer(url);
      if (body === undefined) response.destroy();
      else response.end(body);
    },
  );
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

test("a tracker that starts for the first time has an empty registry that is complete", async (t) => {
  const { path, open, logged } = place(t, { hasRun: false });
  assert.equal((await open()).isIncomplete, false);
  assert.deepEqual([existsSync(path), logged], [true, []]);
});

test("a registry that is missing comes from the others; where there is none, the tracker does not start", async (t) => {
  const { path, open, logged } = place(t);
  await assert.rejects(open(), {
    code: "REGISTRY_DAMAGED",
    message: /is missing, although .*restore a backup/,
  });
  assert.equal(existsSync(path), false);
  const registry = await open(NOBODY);
  assert.equal(registry.incomplete, "{}");
  assert.match(logged[0]?.msg ?? "", /^the registry is missing; clients wait/);
});

test("a registry that is whole is opened as it is, and stays incomplete until it has caught up", async (t) => {
  const { path, open, logged } = place(t);
  const vector = await fill(path);
  const whole = await open();
  assert.deepEqual([whole.vector, whole.isIncomplete, logged], [vector, false, []]);
  whole.close();
  SqliteRegistry.open({ path, ...options, incomplete: "{}" }).close();
  await assert.rejects(open(), {
    code: "REGISTRY_DAMAGED",
    message: /replaced a damaged registry and is not/,
  });
  const again = await open(NOBODY);
  assert.equal(again.isIncomplete, true, "the refusal has let go of the file");
});

test("a damaged registry is kept where nobody serves, and set aside with all its files where somebody does", async (t) => {
  const { dataDir, path, open, logged } = place(t);
  const vector = await fill(path);
  tamper(path);
  writeFileSync(`${path}-journal`, "");
  const before = readdirSync(dataDir);
  await assert.rejects(open(NOBODY), {
    code: "REGISTRY_DAMAGED",
    message: /damaged .*while another tracker serves/s,
  });
  assert.ok(
    before.every((name) => existsSync(join(dataDir, name))),
    "nothing was moved",
  );
  const serving = await another(t);
  const registry = await open(NOBODY, serving);
  const loss = JSON.parse(registry.incomplete ?? "{}");
  assert.deepEqual(loss.vector, vector);
  assert.match(loss.kept, /registry\.sqlite\.damaged-\d+T\d+Z$/);
  assert.deepEqual(
    ["", "-journal"].map((suffix) => existsSync(loss.kept + suffix)),
    [true, true],
  );
  assert.deepEqual(registry.vector, {}, "a new one");
  const [entry] = logged;
  assert.match(entry?.msg ?? "", /^the registry is damaged; it was set aside/);
  assert.equal(entry?.kept, loss.kept);
  assert.equal(JSON.parse(JSON.stringify(entry)).from, `127.0.0.1:${serving.port}`);
});

test("nothing is told of an unreadable registry but that it was there", async (t) => {
  const { path, open } = place(t);
  await fill(path);
  writeFileSync(path, "no database at all, and longer than a header of one ".repeat(10));
  const registry = await open(await another(t));
  const { kept, vector } = JSON.parse(registry.incomplete ?? "{}");
  assert.deepEqual([existsSync(kept), vector], [true, undefined]);
});

test("the database is moved last: what is set aside by half is found again", async (t) => {
  const { path, open } = place(t);
  await fill(path);
  tamper(path);
  writeFileSync(`${path}-journal`, "");
  const serving = await another(t);
  t.mock.timers.enable({ apis: ["Date"], now: 0 });
  mkdirSync(`${path}.damaged-19700101T000000000Z-journal/in-the-way`, { recursive: true });
  await assert.rejects(open(serving), /ENOTEMPTY|EISDIR/);
  assert.equal(existsSync(path), true);
});

test("a registry that is empty, or cut short, is a damaged one", async (t) => {
  for (const length of [0, 5_000]) {
    const { path, open } = place(t);
    await fill(path, 200);
    truncateSync(path, length);
    await assert.rejects(open(NOBODY), { code: "REGISTRY_DAMAGED" }, `${length} bytes`);
  }
});

test("a failure that is no damage does not set a registry aside", async (t) => {
  const { path, open } = place(t);
  await fill(path);
  const user = SqliteRegistry.open({ path, ...options });
  t.after(() => user.close());
  await assert.rejects(open(await another(t)), { code: "DATA_DIR_IN_USE" });
});

test("a tracker that does not say that it serves is no help", async (t) => {
  const { path, open } = place(t);
  await fill(path);
  tamper(path);
  const answers = [
    '{"isServing":false}',
    "not JSON",
    "{}",
    `{"isServing":true,"more":"${"x".repeat(4 * 1024 * 1024)}"}`,
    () => undefined,
    (asked: string | undefined) => (asked === "/health" ? '{"isServing":false}' : '{"isServing":true}'),
  ];
  for (const answer of answers) {
    const other = await another(t, answer);
    await assert.rejects(open(other), { code: "REGISTRY_DAMAGED" }, String(answer).slice(0, 40));
  }
});

test("after damage that was met in use, the next start checks all of the registry, and then no more", async (t) => {
  const { dataDir, path, open } = place(t);
  await fill(path);
  const { length: filesBefore } = readdirSync(dataDir);
  suspect(dataDir);
  assert.equal(readdirSync(dataDir).length, filesBefore + 1);
  const checked: (number | undefined)[] = [];
  const { open: openSqlite } = SqliteRegistry;
  t.mock.method(SqliteRegistry, "open", (given: Parameters<typeof openSqlite>[0]) => {
    checked.push(given.checkMs);
    return openSqlite.call(SqliteRegistry, given);
  });
  (await open()).close();
  assert.equal(readdirSync(dataDir).length, filesBefore);
  (await open()).close();
  assert.deepEqual(checked, [Infinity, undefined]);

  suspect(dataDir);
  tamper(path);
  (await open(await another(t))).close();
  checked.length = 0;
  (await open(NOBODY)).close();
  assert.deepEqual(checked, [undefined], "the new one is not suspected");
});

test("rows lost with a registry are told when all rows of the others are here", (t) => {
  const { log, logged } = place(t);
  const told = (loss: object, here: Record<string, number>) => {
    logged.length = 0;
    reportLoss(JSON.stringify(loss), here, log);
    return logged.map(({ level, msg, rows }) => [level, msg.split(/[;,]/)[0], rows]);
  };
  assert.deepEqual(told({}, {}), [], "it was missing, and nothing is known of it");
  assert.deepEqual(told({ kept: "x" }, {}), [[50, "what only the damaged registry had is lost", undefined]]);
  const vector = { a: 10, b: 5, c: 1 };
  assert.deepEqual(told({ kept: "x", vector }, { a: 7, b: 9 }), [
    [50, "rows that only the damaged registry had are lost", 4],
  ]);
  assert.deepEqual(told({ kept: "x", vector }, { a: 10, b: 5, c: 2 }), [
    [40, "nothing is lost with the damaged registry", undefined],
  ]);
});
