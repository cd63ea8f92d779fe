// The registry on SQLite: the suite for every registry, and what a file on a disk adds to it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { chmodSync, copyFileSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it, type TestContext } from "node:test";
import { onTimerFault } from "../../../../src/net/timers.ts";
import { RecordTable } from "../../../../src/tracker/registry/record-table.ts";
import type { RegistryWriter, TotalsOf } from "../../../../src/tracker/registry/registry.ts";
import { SqliteRegistry } from "../../../../src/tracker/registry/sqlite-registry.ts";
import { registryCompliance, testStamp, write } from "./compliance.ts";
import { ruleStoreCompliance } from "./rule-store-compliance.ts";

const NOW_MS = 1_800_000_000_000;

function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "registry-"));
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function openAt(context: TestContext, path: string, nowMs = () => NOW_MS): SqliteRegistry {
  const registry = SqliteRegistry.open({ path, nowMs, totalsOf: () => ({ rows: 1 }) });
  context.after(() => registry.close());
  return registry;
}

/** The given origin first, then others. */
function origins(first: string): () => string {
  let count = 0;
  return () => (count++ === 0 ? first : `${first}${count}`);
}

registryCompliance("in memory", (context, { origin, ...options }) => {
  const registry = SqliteRegistry.open({ path: ":memory:", newOrigin: origins(origin), ...options });
  context.after(() => registry.close());
  return registry;
});

registryCompliance(
  "in a file",
  (context, { origin, ...options }) => {
    const path = join(temporaryFolder(context), "registry.db");
    const registry = SqliteRegistry.open({ path, newOrigin: origins(origin), ...options });
    context.after(() => registry.close());
    return registry;
  },
  0.1,
);

ruleStoreCompliance("SQLite", async (context, options) => {
  const registry = SqliteRegistry.open({ path: ":memory:", ...options });
  context.after(() => registry.close());
  return registry;
});

describe("SqliteRegistry on a disk", () => {
  it("leaves nobody waiting for a commit that fails in a way that was not foreseen", async (context) => {
    const faults: unknown[] = [];
    context.after(onTimerFault((error) => void faults.push(error)));
    const registry = openAt(context, join(temporaryFolder(context), "registry.db"));
    const snapshot = context.mock.method(RecordTable.prototype, "snapshot", () => {
      throw new Error("a bug");
    });
    const writing = registry.transact(randomUUID(), (writer) => writer.put("device", "one", 1));
    await assert.rejects(writing, /a bug/);
    assert.equal(faults.length, 1);
    snapshot.mock.restore();
    await registry.transact(randomUUID(), (writer) => writer.put("device", "two", 1));
    assert.equal(registry.get("device", "two"), 1);
  });

  it("counts a row for about what it takes on the disk", async (context) => {
    const kinds: Record<string, (writer: RegistryWriter, id: string) => void> = {
      latest: (writer, id) => writer.put("share", `${id}\u001f${id}`, { sinceMs: 1, membershipId: id }),
      removed: (writer, id) => {
        writer.put("device", `${id}${id}`, 1);
        writer.remove("device", `${id}${id}`);
      },
      claim: (writer, id) => void writer.makeClaim("file", `${id}\u001fname`, { infoHash: id, sha1: id }),
      long: (writer, id) => writer.put("torrent", id, { info: "x".repeat(50_000) }),
    };
    for (const [name, put] of Object.entries(kinds)) {
      const path = join(temporaryFolder(context), "registry.db");
      const totalsOf: TotalsOf = (_row, sizeBytes) => ({ bytes: sizeBytes });
      const registry = SqliteRegistry.open({ path, nowMs: () => NOW_MS, totalsOf });
      const writes = Array.from({ length: name === "long" ? 50 : 1_500 }, () =>
        registry.transact(randomUUID(), (writer) => {
          writer.chargeTo("0192f0000000-000000-0123456789abcdef\u001fabcdef");
          put(writer, randomBytes(16).toString("hex"));
        }),
      );
      await Promise.all(writes);
      const counted = registry.total("bytes");
      registry.close();
      const ratio = counted / statSync(path).size;
      assert.ok(ratio > 0.85 && ratio < 1.17, `${name}: ${ratio}`);
    }
  });

  it("keeps who pays for a place, whoever writes it later", async (context) => {
    const totalsOf: TotalsOf = ({ paidBy = "nobody" }) => ({ [paidBy]: 1 });
    const registry = SqliteRegistry.open({ path: ":memory:", nowMs: () => NOW_MS, totalsOf });
    context.after(() => registry.close());
    await write(registry, (writer) => {
      writer.put("share", "none", 1);
      writer.chargeTo("alice");
      writer.put("share", "a", 1);
      writer.put("share", "b", 1, "bob");
    });
    await write(registry, (writer) => {
      writer.chargeTo("carol");
      writer.remove("share", "a");
      writer.put("share", "b", 2);
      writer.put("share", "none", 2);
      assert.equal(writer.payerOf("share", "a"), "alice");
      assert.equal(writer.payerOf("share", "b"), "bob");
      assert.equal(writer.payerOf("share", "x"), "");
    });
    const paid = ["alice", "bob", "carol", "nobody"].map((name) => registry.total(name));
    assert.deepEqual(paid, [1, 1, 0, 1]);
  });

  it("has everything again after it was closed and opened", async (context) => {
    const path = join(temporaryFolder(context), "registry.db");
    const before = openAt(context, path);
    const [claim] = await write(before, (writer) => {
      writer.makeClaim("user", "alice", { a: 1 });
      writer.put("credential", "alice", "x");
    });
    await before.merge([], { other: 7 });
    const { origin, vector, latestStamp } = before;
    const digest = before.digest();
    before.close();

    const after = openAt(context, path, () => NOW_MS - 500_000);
    assert.notEqual(after.origin, origin, "an old copy of the disk must not give numbers away again");
    assert.equal(after.isOwn(claim?.stamp ?? ""), true);
    assert.deepEqual(after.vector, vector);
    assert.equal(after.digest(), digest);
    assert.equal(after.claim("user", "alice")?.claimId, claim?.claimId);
    const [later] = await write(after, (writer) => writer.put("credential", "alice", "y"));
    assert.ok((later?.stamp ?? "") > latestStamp, "the clock does not go back with the wall clock");
    assert.equal(later?.seq, 1);
  });

  it("commits what is queued when it is closed, and takes nothing afterwards", async (context) => {
    const path = join(temporaryFolder(context), "registry.db");
    const registry = openAt(context, path);
    const written = write(registry, (writer) => writer.put("share", "a", 1));
    registry.close();
    await written;
    await assert.rejects(
      write(registry, (writer) => writer.put("share", "a", 2)),
      { code: "INTERNAL" },
    );
    assert.equal(openAt(context, path).get("share", "a"), 1);
  });

  it("has every write that it acknowledged after kill -9", async (context) => {
    const path = join(temporaryFolder(context), "registry.db");
    const registryUrl = import.meta.resolve("../../../../src/tracker/registry/sqlite-registry.ts");
    const child = spawn(
      process.execPath,
      [
        "--input-type=module",
        "--eval",
        `import { SqliteRegistry } from ${JSON.stringify(registryUrl)};
        const registry = SqliteRegistry.open({ path: ${JSON.stringify(path)}, nowMs: Date.now });
        for (let index = 0; ; index++) {
          await registry.transact("w", (writer) => writer.put("share", String(index), index));
          process.stdout.write(index + "\\n");
        }`,
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    context.after(() => child.kill("SIGKILL"));
    let acknowledged = "";
    for await (const chunk of child.stdout) {
      acknowledged += String(chunk);
      if (acknowledged.split("\n").length > 50) child.kill("SIGKILL");
    }
    const last = Number(acknowledged.split("\n").at(-2));
    assert.ok(last >= 49);
    const registry = openAt(context, path, Date.now);
    for (let index = 0; index <= last; index++) assert.equal(registry.get("share", `${index}`), index);
    const [seq = 0] = Object.values(registry.vector);
    assert.ok(seq > last);
  });

  it("is readable by its owner alone, write-ahead log included", async (context) => {
    const folder = temporaryFolder(context);
    const registry = openAt(context, join(folder, "registry.db"));
    await write(registry, (writer) => writer.put("share", "a", 1));
    for (const file of ["registry.db", "registry.db-wal"]) {
      assert.equal(statSync(join(folder, file)).mode & 0o777, 0o600, file);
    }
  });

  it("is refused to a second process", (context) => {
    const path = join(temporaryFolder(context), "registry.db");
    openAt(context, path);
    assert.throws(() => openAt(context, path), { code: "DATA_DIR_IN_USE" });
  });

  it("says so when the file is no registry, or of another version, or cannot be made", (context) => {
    const folder = temporaryFolder(context);
    copyFileSync(import.meta.filename, join(folder, "text"));
    assert.throws(() => openAt(context, join(folder, "text")), { code: "REGISTRY_DAMAGED" });
    assert.throws(() => openAt(context, join(folder, "missing", "registry.db")), { code: "DISK_FAILED" });
    const other = new DatabaseSync(join(folder, "later"));
    other.exec("PRAGMA user_version = 99");
    other.close();
    assert.throws(() => openAt(context, join(folder, "later")), { code: "DISK_FAILED" });
  });

  it("runs what is queued in one turn in one commit", async (context) => {
    const path = join(temporaryFolder(context), "registry.db");
    const registry = openAt(context, path);
    const sizes: number[] = [];
    const put = (key: string) => (writer: RegistryWriter) => {
      writer.put("share", key, 1);
      sizes.push(statSync(`${path}-wal`).size);
    };
    await Promise.all(Array.from({ length: 50 }, (_, index) => write(registry, put(`${index}`))));
    assert.equal(new Set(sizes).size, 1, "the log did not grow between the first work and the last");
    assert.equal(registry.list("share", "").length, 50);
  });

  it("rejects every write of a commit that fails, and goes on from what it had", async (context) => {
    const path = join(temporaryFolder(context), "registry.db");
    const small = openAt(context, path);
    await write(small, (writer) => writer.put("share", "a", 1));
    const before = { digest: small.digest(), vector: small.vector };
    small.close();
    const database = new DatabaseSync(path);
    database.exec(`CREATE TABLE parent (id INTEGER PRIMARY KEY);
      CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
      CREATE TRIGGER fail AFTER INSERT ON record WHEN new.key = 'bad' BEGIN INSERT INTO child VALUES (1); END`);
    database.close();
    const registry = openAt(context, path);
    const bad = () => write(registry, (writer) => writer.put("share", "bad", 1));
    const results = await Promise.allSettled([
      write(registry, (writer) => writer.put("share", "good", 1)),
      bad(),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["rejected", "rejected"],
    );
    await assert.rejects(bad(), "alone in its commit");
    assert.deepEqual({ digest: registry.digest(), vector: registry.vector }, before);
    assert.equal(registry.total("rows"), 1);
    assert.equal(registry.get("share", "good"), undefined);
    const [next] = await write(registry, (writer) => writer.put("share", "good", 2));
    assert.equal(next?.seq, 1);
  });

  it("has nothing of a merge that fails, in its vector and digest neither", async (context) => {
    const path = join(temporaryFolder(context), "registry.db");
    openAt(context, path).close();
    const database = new DatabaseSync(path);
    database.exec(`CREATE TABLE parent (id INTEGER PRIMARY KEY);
      CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
      CREATE TRIGGER fail AFTER INSERT ON record WHEN new.key = 'bad' BEGIN INSERT INTO child VALUES (1); END`);
    database.close();
    const registry = openAt(context, path);
    const before = { digest: registry.digest(), vector: registry.vector };
    const other = openAt(context, ":memory:");
    const rows = await write(other, (writer) => {
      writer.put("share", "good", 1);
      writer.put("share", "bad", 2);
    });
    await assert.rejects(registry.merge(rows, other.vector));
    assert.deepEqual({ digest: registry.digest(), vector: registry.vector }, before);
    assert.equal(registry.get("share", "good"), undefined);
    assert.equal(registry.total("rows"), 0);
    await registry.merge(rows.slice(0, 1));
    assert.deepEqual(registry.vector, { [other.origin]: 1 });
  });

  it("gives no number away again from a copy that was made before the first write", (context) => {
    const path = join(temporaryFolder(context), "registry.db");
    const first = openAt(context, path);
    const { origin } = first;
    first.close();
    const again = openAt(context, path);
    assert.notEqual(again.origin, origin, "whoever brought the copy back may have written since");
    assert.equal(again.isOwn(testStamp(1, origin)), true);
  });

  it("gives each registry an origin of its own", (context) => {
    const one = openAt(context, ":memory:");
    const other = openAt(context, ":memory:");
    assert.match(one.origin, /^[0-9a-f]{16}$/);
    assert.notEqual(one.origin, other.origin);
    assert.equal(one.isOwn(testStamp(1, one.origin)), true);
    assert.equal(one.isOwn(testStamp(1, other.origin)), false);
  });

  it("has each commit on the disk before it is acknowledged, in a log that one process alone writes", async (context) => {
    const databases: DatabaseSync[] = [];
    const { exec } = DatabaseSync.prototype;
    context.mock.method(DatabaseSync.prototype, "exec", function (this: DatabaseSync, sql: string) {
      if (!databases.includes(this)) databases.push(this);
      return exec.call(this, sql);
    });
    openAt(context, join(temporaryFolder(context), "registry.db"));
    const pragma = (name: string) => Object.values(databases[0]?.prepare(`PRAGMA ${name}`).get() ?? {})[0];
    assert.equal(pragma("synchronous"), 2, "FULL: the log is flushed at each commit");
    assert.equal(pragma("journal_mode"), "wal");
    assert.equal(pragma("locking_mode"), "exclusive");
    assert.equal(pragma("wal_autocheckpoint"), 4_000);
    assert.equal(pragma("cache_size"), -16 * 1024);
  });

  /** The next statement of that kind fails, as SQLite says it with that number. */
  function failNext(context: TestContext, statement: RegExp, errcode = 13): void {
    const { exec } = DatabaseSync.prototype;
    let hasFailed = false;
    context.mock.method(DatabaseSync.prototype, "exec", function (this: DatabaseSync, sql: string) {
      if (!hasFailed && statement.test(sql)) {
        hasFailed = true;
        throw Object.assign(new Error("as SQLite says it"), { errcode });
      }
      return exec.call(this, sql);
    });
  }

  it("acknowledges nothing that was not committed, tells of the disk's trouble, and goes on", async (context) => {
    const told: string[] = [];
    const path = join(temporaryFolder(context), "registry.db");
    const registry = SqliteRegistry.open({ path, nowMs: () => NOW_MS, onTrouble: (what) => told.push(what) });
    context.after(() => registry.close());
    await write(registry, (writer) => writer.put("share", "before", 1));
    const { vector } = registry;
    const digest = registry.digest();
    failNext(context, /^COMMIT/);
    const writes = [
      write(registry, (writer) => writer.put("share", "a", 1)),
      write(registry, (writer) => writer.put("share", "b", 1)),
    ];
    for (const { status, ...rest } of await Promise.allSettled(writes)) {
      assert.equal(status, "rejected", "it was called done");
      assert.equal("reason" in rest && rest.reason.code, "DISK_FULL");
    }
    assert.deepEqual([registry.vector, registry.digest(), told], [vector, digest, ["disk-full"]]);
    await write(registry, (writer) => writer.put("share", "after", 1));
    registry.close();
    const again = openAt(context, path);
    assert.deepEqual(
      again.list("share", "").map(({ key }) => key),
      ["after", "before"],
    );
  });

  it("writes nothing of a commit that SQLite rolled back by itself, as it does when the disk is full", async (context) => {
    const path = join(temporaryFolder(context), "registry.db");
    openAt(context, path).close();
    const database = new DatabaseSync(path);
    database.exec(`CREATE TRIGGER fail AFTER INSERT ON record WHEN new.key = 'bad'
      BEGIN SELECT RAISE(ROLLBACK, 'no room'); END`);
    database.close();
    const registry = openAt(context, path);
    const put = (key: string) => write(registry, (writer) => writer.put("share", key, 1));
    const writes = [put("good"), put("bad"), put("also good")];
    for (const written of writes) await assert.rejects(written, { code: "DISK_FAILED", message: /no room/ });
    await assert.rejects(put("bad"), { code: "DISK_FAILED", message: /no room/ });
    assert.deepEqual(registry.list("share", ""), []);
    await put("good");
    assert.equal(registry.get("share", "good"), 1);
  });

  it("asks for one turn of the event loop for all that is queued", async (context) => {
    const registry = openAt(context, ":memory:");
    const asked = context.mock.method(globalThis, "setImmediate");
    const writes = [1, 2, 3].map((at) => write(registry, (writer) => writer.put("share", `${at}`, at)));
    assert.equal(asked.mock.callCount(), 1);
    await Promise.all(writes);
  });

  it("begins a new incarnation after what is queued, for good, and not at all if that cannot be noted", async (context) => {
    const path = join(temporaryFolder(context), "registry.db");
    const registry = openAt(context, path);
    const { origin: old } = registry;
    const queued = write(registry, (writer) => writer.put("share", "queued", 1));
    const origin = registry.renewOrigin();
    const [record] = await queued;
    assert.equal(record?.origin, old);
    assert.deepEqual([registry.origin, registry.vector], [origin, { [old]: 1 }]);
    const [next] = await write(registry, (writer) => writer.put("share", "next", 1));
    assert.equal(next?.origin, origin);
    assert.ok(next.stamp.endsWith(origin), "its stamps are its own");
    const { latestStamp } = registry;
    failNext(context, /^COMMIT/);
    assert.throws(() => registry.renewOrigin(), { code: "DISK_FULL" });
    assert.deepEqual([registry.origin, registry.latestStamp], [origin, latestStamp]);
    await write(registry, (writer) => writer.put("share", "later", 1));
    registry.close();
    const again = openAt(context, path);
    for (const own of [old, origin]) assert.equal(again.isOwn(testStamp(1, own)), true);
  });

  it("that was set back keeps the right time over a restart", async (context) => {
    const path = join(temporaryFolder(context), "registry.db");
    let nowMs = NOW_MS + 100_000_000;
    const registry = openAt(context, path, () => nowMs);
    await write(registry, (writer) => writer.put("share", "a", 1));
    nowMs = NOW_MS;
    registry.renewOrigin("is set back");
    registry.close();
    const again = openAt(context, path, () => nowMs);
    assert.ok(again.latestStamp < testStamp(1_000, "zz"), again.latestStamp);
  });

  it("keeps notes of this tracker's own over a restart, and tries the disk when asked to", async (context) => {
    const path = join(temporaryFolder(context), "registry.db");
    const registry = openAt(context, path);
    assert.equal(registry.note("x"), undefined);
    await registry.keepNote("x", "one");
    await registry.keepNote("x", "two");
    await registry.probe();
    failNext(context, /^COMMIT/);
    await assert.rejects(registry.probe(), { code: "DISK_FULL" });
    registry.close();
    assert.equal(openAt(context, path).note("x"), "two");
  });

  it("is backed up while it is written to, into a file for its owner alone, and over none that is there", async (context) => {
    const folder = temporaryFolder(context);
    const registry = openAt(context, join(folder, "registry.db"));
    await write(registry, (writer) => writer.put("share", "a", 1));
    const copy = join(folder, "copy.db");
    await Promise.all([registry.backUp(copy), write(registry, (writer) => writer.put("share", "b", 1))]);
    assert.equal(statSync(copy).mode & 0o777, 0o600);
    await assert.rejects(registry.backUp(copy), { code: "DISK_FAILED" });
    await assert.rejects(registry.backUp(join(folder, "missing", "copy.db")), { code: "DISK_FAILED" });
    const restored = openAt(context, copy);
    assert.equal(restored.get("share", "a"), 1);
  });

  it("is backed up although the backup begins while a transaction is open", async (context) => {
    const folder = temporaryFolder(context);
    const registry = openAt(context, join(folder, "registry.db"));
    await write(registry, (writer) => writer.put("share", "a", 1));
    const backups: Promise<void>[] = [];
    await write(registry, (writer) => {
      writer.put("share", "b", 1);
      backups.push(registry.backUp(join(folder, "copy.db")));
      // The backup's thread meets the transaction meanwhile.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    });
    await Promise.all(backups);
    assert.equal(openAt(context, join(folder, "copy.db")).get("share", "a"), 1);
  });

  it("is made private if it is not, and closes once", (context) => {
    const folder = temporaryFolder(context);
    const path = join(folder, "registry.db");
    openAt(context, path).close();
    chmodSync(path, 0o644);
    const registry = openAt(context, path);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    registry.close();
    registry.close();
    openAt(context, path).close();
  });

  it("tells its owner of damage that a read meets", async (context) => {
    const told: string[] = [];
    const registry = SqliteRegistry.open({
      ...{ path: ":memory:", nowMs: () => NOW_MS, onTrouble: (what) => told.push(what) },
    });
    context.after(() => registry.close());
    await write(registry, (writer) => writer.put("share", "a", 1));
    const parse = context.mock.method(JSON, "parse", () => {
      throw new SyntaxError("odd");
    });
    assert.throws(() => registry.get("share", "a"), {
      code: "REGISTRY_DAMAGED",
      message: /a value is not JSON/,
    });
    parse.mock.restore();
    assert.deepEqual(told, ["registry-damaged"]);
  });
});
