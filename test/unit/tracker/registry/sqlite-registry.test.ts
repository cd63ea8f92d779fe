// The registry on SQLite: the suite for every registry, and what a file on a disk adds to it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { copyFileSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it, type TestContext } from "node:test";
import { onTimerFault } from "../../../../src/net/timers.ts";
import { RecordTable } from "../../../../src/tracker/registry/record-table.ts";
import type { RegistryWriter, TotalsOf } from "../../../../src/tracker/registry/registry.ts";
import { SqliteRegistry } from "../../../../src/tracker/registry/sqlite-registry.ts";
import { registryCompliance, testStamp, write } from "./compliance.ts";

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

describe("SqliteRegistry on a disk", () => {
  it("leaves nobody waiting for a commit that fails in a way that was not foreseen", async (context) => {
    const faults: unknown[] = [];
    context.after(onTimerFault((error) => void faults.push(error)));
    const registry = openAt(context, join(temporaryFolder(context), "registry.db"));
    const face = context.mock.method(RecordTable.prototype, "face", () => {
      throw new Error("a bug");
    });
    const writing = registry.transact(randomUUID(), (writer) => writer.put("device", "one", 1));
    await assert.rejects(writing, /a bug/);
    assert.equal(faults.length, 1);
    face.mock.restore();
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
});
