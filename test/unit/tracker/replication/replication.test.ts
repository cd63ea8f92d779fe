// The protocol between trackers on a virtual network with a virtual clock: real registries, no sockets, no waiting.
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import fc from "fast-check";
import { MiniTorrentError } from "../../../../src/api/errors.ts";
import { asDiskError } from "../../../../src/tracker/registry/disk-trouble.ts";
import { type RegistryWriter, recordKey } from "../../../../src/tracker/registry/registry.ts";
import { stampMs } from "../../../../src/tracker/registry/stamp.ts";
import type { ReplicaChannel } from "../../../../src/tracker/replication/replica-channel.ts";
import { REPLICA_PROTOCOL_VERSION } from "../../../../src/tracker/replication/replica-messages.ts";
import { type Replica, ReplicaNetwork, type VirtualLink } from "../../../sim/replica-network.ts";
import { allRows, testStamp } from "../registry/compliance.ts";

/** When the virtual clock begins. */
const START_MS = 1_800_000_000_000;
/** The year 6429 and a bit. */
const IMPOSSIBLE_STAMP = `${(2 ** 47 + 1).toString(16)}-000000-zz`;

function makeNetwork(context: TestContext): ReplicaNetwork {
  const network = new ReplicaNetwork();
  context.after(() => network.close());
  return network;
}

function claimUser(replica: Replica, name: string, value: unknown = replica.name): Promise<string> {
  return replica.replication.write(`claim ${name} at ${replica.name}`, (writer) => {
    if (writer.claim("user", name) !== undefined) {
      throw new MiniTorrentError("USER_EXISTS", `${name} is taken.`);
    }
    return writer.makeClaim("user", name, value);
  });
}

function put(replica: Replica, key: string, value: unknown): Promise<void> {
  return replica.replication.write(`put ${key}`, (writer) => writer.put("share", key, value));
}

/** What became of a promise, without waiting for it: "waiting", "OK", or the error's code. */
function outcome(promise: Promise<unknown>): { now: string } {
  const seen = { now: "waiting" };
  promise.then(
    () => {
      seen.now = "OK";
    },
    (error: unknown) => {
      seen.now = error instanceof MiniTorrentError ? error.code : String(error);
    },
  );
  return seen;
}

function assertEqualReplicas(...replicas: readonly Replica[]): void {
  const [first, ...others] = replicas;
  for (const other of others) {
    assert.deepEqual(allRows(other.registry), first && allRows(first.registry));
    assert.equal(other.registry.digest(), first?.registry.digest());
    assert.deepEqual(other.registry.vector, first?.registry.vector);
  }
}

describe("Replication with a tracker whose disk takes nothing", () => {
  it("waits for it no more, lets it know what it lacks, and makes up for it over a new link", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a"), network.add("b")];
    const link = network.connect(a, b, 40);
    await network.run(500);
    const underWay = outcome(put(a, "under way", 1));
    await network.run(5);
    b.replication.stopStoring();
    await network.run(100);
    assert.equal(underWay.now, "OK", "it is let go as soon as the other says so");
    assert.equal(a.replication.status()[0]?.state, "cannot-store");
    assert.equal(a.replication.connectedCount, 0);
    assert.equal(b.replication.isAnotherStoring, true);
    const later = outcome(put(a, "later", 2));
    await network.run(10);
    assert.equal(later.now, "OK", "without waiting");
    await network.run(10_000);
    assert.equal(link.isOpen, true);
    assert.equal(b.registry.get("share", "later"), undefined);
    assert.equal(b.replication.has(b.replication.heard), false, "it knows that it lacks rows");
    const stored = link.delivered.filter(({ to, text }) => to === "a" && JSON.parse(text).type === "stored");
    assert.deepEqual(stored, [], "nothing is called stored that is not");

    const missed = b.replication.heard;
    b.replication.resumeStoring();
    assert.equal(link.isOpen, false);
    network.connect(a, b, 40);
    await network.run(1000);
    assert.equal(b.replication.has(missed), true);
    assertEqualReplicas(a, b);
    assert.equal(a.replication.connectedCount, 1);
  });

  it("is told so over a link that is made meanwhile, and sends what only it has", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a"), network.add("b")];
    const own = put(b, "own", 1);
    await network.run(1);
    await own;
    const theirs = put(a, "theirs", 2);
    await network.run(1);
    await theirs;
    b.replication.stopStoring();
    network.connect(a, b, 40);
    await network.run(5000);
    assert.equal(a.registry.get("share", "own"), 1);
    assert.equal(b.registry.get("share", "theirs"), undefined);
    assert.equal(a.replication.status()[0]?.hasCaughtUpHere, true);
    assert.equal(a.replication.status()[0]?.state, "cannot-store");
    assert.equal(b.replication.status()[0]?.hasCaughtUpHere, false);
  });

  it("acknowledges nothing of a merge that the disk refused, keeps the link, and has it all later", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a"), network.add("b")];
    const link = network.connect(a, b, 40);
    await network.run(500);
    const before = { vector: b.registry.vector, digest: b.registry.digest() };
    // As a registry does whose disk is full: its owner is told, and whoever waits gets SQLite's error.
    const full = Object.assign(new Error("database or disk is full"), { errcode: 13 });
    const refusing = context.mock.method(b.registry, "merge", () => {
      b.replication.stopStoring();
      return Promise.reject(asDiskError(full, "the registry"));
    });
    const written = outcome(put(a, "x", 1));
    await network.run(200);
    assert.equal(written.now, "OK");
    assert.equal(refusing.mock.callCount(), 1);
    await network.run(5000);
    assert.equal(link.isOpen, true);
    assert.equal(a.replication.status()[0]?.state, "cannot-store");
    assert.deepEqual({ vector: b.registry.vector, digest: b.registry.digest() }, before);
    assert.equal(
      link.delivered.filter(({ text }) => /"type":"(stored|got)"/.test(text)).length,
      2,
      "at first",
    );
    refusing.mock.restore();
    b.replication.resumeStoring();
    network.connect(a, b, 40);
    await network.run(1000);
    assertEqualReplicas(a, b);
  });

  it("counts none as able to store when both cannot", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a"), network.add("b")];
    network.connect(a, b, 40);
    await network.run(500);
    a.replication.stopStoring();
    b.replication.stopStoring();
    await network.run(500);
    assert.deepEqual([a.replication.isAnotherStoring, b.replication.isAnotherStoring], [false, false]);
  });
});

describe("Replication between connected trackers", () => {
  it("says OK only when the other has the rows on disk", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a"), network.add("b")];
    network.connect(a, b, 40);
    await network.run(500);
    assert.equal(a.replication.connectedCount, 1);
    const written = outcome(put(a, "x", 1));
    await network.run(39);
    assert.equal(b.registry.get("share", "x"), undefined);
    await network.run(40);
    assert.equal(b.registry.get("share", "x"), 1);
    assert.equal(written.now, "waiting", "it is stored there, but the answer is on its way");
    await network.run(2);
    assert.equal(written.now, "OK");
    assert.deepEqual(
      a.changes.map(({ isLocal }) => isLocal),
      [true],
    );
    assert.deepEqual(
      b.changes.map(({ isLocal }) => isLocal),
      [false],
    );
  });

  it("says which of the others have a write on disk, also of one that is tried again", async (context) => {
    const network = makeNetwork(context);
    const [a, b, c, d] = [network.add("a"), network.add("b"), network.add("c"), network.add("d")];
    network.connect(a, b);
    const silent = network.connect(a, c);
    const severed = network.connect(a, d);
    await network.run(1000);
    severed.sever();
    silent.silence();
    const remove = () =>
      a.replication.writeAndConfirm("remove bob", (writer) => {
        if (!writer.hasWrite("remove bob")) writer.put("revocation", "bob", 1);
      });
    const written = remove();
    await network.run(3000);
    assert.deepEqual([...(await written).storedAt], ["b"]);
    const severedAgain = network.connect(a, d);
    await network.run(1000);
    const again = remove();
    await network.run(3000);
    assert.deepEqual([...(await again).storedAt].sort(), ["b", "d"]);
    // Its row is gone when another write has taken its place; who is up to date has had it.
    const replaced = a.replication.write("once more", (writer) => writer.put("revocation", "bob", 2));
    await network.run(1000);
    await replaced;
    assert.equal(a.registry.hasWrite("remove bob"), false);
    const known = () =>
      a.replication.writeAndConfirm("remove bob", (writer) => {
        assert.notEqual(writer.get("revocation", "bob"), undefined);
      });
    assert.deepEqual([...(await known()).storedAt].sort(), ["b", "d"]);
    severedAgain.sever();
    network.connect(a, d, 100);
    await network.run(150);
    assert.equal(a.replication.status().find(({ name }) => name === "d")?.state, "catching-up");
    assert.deepEqual([...(await known()).storedAt], ["b"], "d may lack something still");
    await network.run(1000);
    const underWay = put(a, "under way", 1);
    await a.registry.probe();
    assert.deepEqual([...(await known()).storedAt], [], "nobody is known to have all that is here");
    await network.run(1000);
    await underWay;
  });

  it("keeps many writes on their way at once", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a"), network.add("b")];
    network.connect(a, b, 100);
    await network.run(1000);
    const all = outcome(Promise.all(Array.from({ length: 50 }, (_, index) => put(a, `${index}`, index))));
    await network.run(205);
    assert.equal(all.now, "OK", "fifty writes in one round trip");
    assertEqualReplicas(a, b);
  });

  it("gives a name that two claim in the same millisecond to exactly one", async (context) => {
    const network = makeNetwork(context);
    const [a, b, c] = [network.add("a"), network.add("b"), network.add("c")];
    for (const [one, other] of [[a, b] as const, [b, c] as const, [a, c] as const])
      network.connect(one, other, 20);
    await network.run(1000);
    const outcomes = [a, b, c].map((replica) => outcome(claimUser(replica, "alice")));
    await network.run(500);
    assert.deepEqual(outcomes.map(({ now }) => now).sort(), [
      "NAME_TAKEN_ELSEWHERE",
      "NAME_TAKEN_ELSEWHERE",
      "OK",
    ]);
    const winner = [a, b, c][outcomes.findIndex(({ now }) => now === "OK")];
    for (const replica of [a, b, c]) {
      assert.equal(replica.registry.claim("user", "alice")?.value, winner?.name);
      assert.deepEqual(
        replica.lostClaims.filter(({ value }) => value === replica.name),
        [],
        "told by the error",
      );
    }
    assertEqualReplicas(a, b, c);
    const live = allRows(a.registry).filter((row) => JSON.parse(row).value !== undefined);
    assert.equal(live.length, 1, "the claims that lost are ended");
  });

  it("lets exactly one of two claims through whatever their clocks and the delay", async (context) => {
    const skews = fc.integer({ min: -600_000, max: 600_000 });
    await fc.assert(
      fc.asyncProperty(skews, skews, fc.nat(100), fc.nat(60), async (skewA, skewB, delayMs, apartMs) => {
        const network = makeNetwork(context);
        const [a, b] = [network.add("a", { skewMs: skewA }), network.add("b", { skewMs: skewB })];
        network.connect(a, b, delayMs);
        await network.run(1500);
        const first = outcome(claimUser(a, "alice"));
        await network.run(apartMs);
        const second = outcome(claimUser(b, "alice"));
        await network.run(500);
        assert.equal([first.now, second.now].filter((now) => now === "OK").length, 1);
        assertEqualReplicas(a, b);
        network.close();
      }),
      { numRuns: 30 },
    );
  });

  it("does not take a claim for beaten by one that has ended where the other does not know it yet", async (context) => {
    const network = makeNetwork(context);
    const [a, b, c] = [network.add("a"), network.add("b"), network.add("c")];
    network.connect(a, b);
    const link = network.connect(a, c);
    network.connect(b, c);
    await network.run(100);
    const claimed = claimUser(a, "alice");
    await network.run(100);
    const claimId = await claimed;
    link.sever();
    const ended = outcome(a.replication.write("end", (writer) => writer.endClaim("user", claimId)));
    await network.run(10);
    assert.equal(ended.now, "OK");
    assert.notEqual(c.registry.claim("user", "alice"), undefined, "c has not heard of the end");
    const again = outcome(claimUser(b, "alice"));
    await network.run(5000);
    assert.equal(again.now, "OK");
    assertEqualReplicas(a, b, c);
    assert.equal(c.registry.claim("user", "alice")?.value, "b");
  });

  it("refuses a name when the other knows an earlier claim of a third", async (context) => {
    const network = makeNetwork(context);
    const [a, b, c] = [network.add("a"), network.add("b"), network.add("c")];
    network.connect(a, b);
    network.connect(b, c);
    await network.run(1000);
    const first = outcome(claimUser(c, "alice"));
    await network.run(5);
    const second = outcome(claimUser(a, "alice"));
    await network.run(5);
    assert.equal(first.now, "OK");
    assert.equal(second.now, "NAME_TAKEN_ELSEWHERE");
    const ended = a.registry
      .since({ [c.registry.origin]: 1 }, 10)
      .map(({ origin, value }) => [origin, value]);
    assert.deepEqual(ended, [[a.registry.origin, undefined]]);
    await network.run(5000);
    assertEqualReplicas(a, b, c);
  });

  it("lets the earlier of two answered claims stand, and tells the other, where trackers are partly apart", async (context) => {
    const network = makeNetwork(context);
    const [a, b, c] = [network.add("a", { skewMs: 600_000 }), network.add("b"), network.add("c")];
    network.connect(a, b);
    network.connect(b, c);
    await network.run(2500); // half a second after c heard last how late it is at a
    const first = outcome(claimUser(a, "alice"));
    await network.run(5);
    const second = outcome(claimUser(c, "alice"));
    await network.run(5);
    assert.deepEqual([first.now, second.now], ["OK", "OK"]);
    await network.run(5000);
    assertEqualReplicas(a, b, c);
    assert.equal(b.registry.claim("user", "alice")?.value, "c", "its id is the lower one");
    assert.deepEqual(
      a.lostClaims.map(({ value }) => value),
      ["a"],
    );
  });

  it("answers a command that is tried again only when the try before it is over", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a"), network.add("b")];
    network.connect(a, b, 50);
    await network.run(1000);
    let runs = 0;
    const tryOnce = () =>
      a.replication.write("same", (writer) => {
        if (writer.hasWrite("same")) return;
        runs++;
        writer.put("share", "x", 1);
      });
    const [first, second] = [outcome(tryOnce()), outcome(tryOnce())];
    await network.run(60);
    assert.deepEqual([first.now, second.now], ["waiting", "waiting"]);
    await network.run(60);
    assert.deepEqual([first.now, second.now], ["OK", "waiting"], "it asks the others again");
    const third = outcome(tryOnce());
    await network.run(90);
    assert.deepEqual([second.now, third.now], ["OK", "waiting"]);
    await network.run(80);
    assert.equal(third.now, "waiting", "it began when the second was over");
    await network.run(30);
    assert.equal(third.now, "OK");
    assert.equal(runs, 1);
  });

  it("does not tell a command that is tried again that it has a name which the first try then loses", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a"), network.add("b")];
    network.connect(a, b, 50);
    await network.run(1000);
    const earlier = outcome(claimUser(b, "alice"));
    await network.run(1);
    const tryOnce = () =>
      a.replication.write("same", (writer) => {
        if (writer.hasWrite("same")) return;
        if (writer.claim("user", "alice") !== undefined)
          throw new MiniTorrentError("USER_EXISTS", "alice is taken.");
        writer.makeClaim("user", "alice", "a");
      });
    const [first, second] = [outcome(tryOnce()), outcome(tryOnce())];
    await network.run(500);
    assert.deepEqual([earlier.now, first.now, second.now], ["OK", "NAME_TAKEN_ELSEWHERE", "USER_EXISTS"]);
  });

  it("is settled when no write is under way, whatever becomes of it", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a"), network.add("b")];
    network.connect(a, b, 50);
    await network.run(1000);
    assert.equal(outcome(a.replication.settled()).now, "waiting");
    const failing = outcome(
      a.replication.write("failing", () => {
        throw new MiniTorrentError("USER_EXISTS", "no");
      }),
    );
    const written = outcome(put(a, "x", 1));
    const settled = outcome(a.replication.settled());
    await network.run(99);
    assert.deepEqual([failing.now, written.now, settled.now], ["USER_EXISTS", "waiting", "waiting"]);
    await network.run(2);
    assert.deepEqual([written.now, settled.now], ["OK", "OK"]);
  });

  it("closes all its links when it is closed, and keeps them when it is told to store that stores", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a", { origin: "aa" }), network.add("b")];
    const link = network.connect(a, b);
    await network.run(100);
    a.replication.resumeStoring();
    assert.equal(link.isOpen, true);
    a.replication.close();
    assert.equal(link.isOpen, false);
    assert.deepEqual([a.replication.status(), b.replication.status()], [[], []]);
    assert.equal(b.presenceEvents.at(-1), "aa: lost");
  });

  it("has a vector when it has every part of it", async (context) => {
    const network = makeNetwork(context);
    const a = network.add("a", { origin: "aa" });
    await a.registry.merge([], { aa: 2, bb: 3 });
    for (const [vector, has] of [
      [{}, true],
      [{ aa: 2, bb: 3 }, true],
      [{ aa: 1 }, true],
      [{ aa: 3, bb: 3 }, false],
      [{ aa: 2, bb: 3, cc: 1 }, false],
    ] as const)
      assert.equal(a.replication.has(vector), has, JSON.stringify(vector));
  });

  it("says of a retry that it is one, to the others too", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a"), network.add("b")];
    network.connect(a, b);
    await network.run(100);
    const retried = a.replication.write("w1", (writer) => writer.put("share", "x", 1), true);
    await network.run(10);
    await retried;
    const first = put(a, "y", 1);
    await network.run(10);
    await first;
    assert.equal(b.registry.row("share", "x", "")?.isRetry, true);
    assert.equal(b.registry.row("share", "y", "")?.isRetry, undefined);
  });

  it("names the thing that was given away elsewhere, without the group that it is in", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a"), network.add("b")];
    network.connect(a, b, 50);
    await network.run(1000);
    const claimFile = (replica: Replica) =>
      replica.replication.write(`film at ${replica.name}`, (writer) =>
        writer.makeClaim("file", recordKey("group-id", "film.mkv"), 1),
      );
    const early = claimFile(a);
    await network.run(1);
    const late = claimFile(b);
    const message = /^Another tracker gave the file name film\.mkv away a moment earlier; /;
    const refused = assert.rejects(late, { code: "NAME_TAKEN_ELSEWHERE", message });
    await network.run(500);
    await early;
    await refused;
  });

  it("has no claim in doubt after a restart that was answered, and settles one when its command is tried again", async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "replica-"));
    context.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "registry.db");
    const network = makeNetwork(context);
    const b = network.add("b");
    const before = network.add("a", { path });
    network.connect(before, b, 20);
    await network.run(1000);
    const answered = outcome(claimUser(before, "alice"));
    await network.run(50);
    assert.equal(answered.now, "OK");
    const claimBob = (replica: Replica) =>
      replica.replication.write("claim bob", (writer) => {
        if (!writer.hasWrite("claim bob")) writer.makeClaim("user", "bob", 1);
      });
    outcome(claimBob(before));
    await network.run(10);
    network.stop(before); // nobody has heard of bob's claim

    const after = network.add("a", { path });
    const bob = after.registry.claim("user", "bob")?.claimId ?? "";
    assert.deepEqual(after.registry.doubtfulClaims, [bob]);
    const again = outcome(claimBob(after));
    await network.run(10);
    assert.equal(again.now, "OK");
    assert.deepEqual(after.registry.doubtfulClaims, []);
    network.stop(after);
    assert.deepEqual(network.add("a", { path }).registry.doubtfulClaims, [], "for good");
  });

  it("answers a command that died with its tracker only when all who are connected have what it wrote", async (context) => {
    const network = makeNetwork(context);
    const [a, b, c] = [network.add("a"), network.add("b"), network.add("c")];
    network.connect(a, b, 1);
    network.connect(a, c, 400);
    const between = network.connect(b, c, 50);
    await network.run(3000);
    const work = (writer: RegistryWriter) => {
      if (!writer.hasWrite("same")) writer.put("share", "x", 1);
    };
    outcome(a.replication.write("same", work));
    await network.run(10);
    network.stop(a);
    const again = outcome(b.replication.write("same", work));
    await network.run(60);
    assert.equal(again.now, "waiting");
    assert.equal(c.registry.get("share", "x"), 1);
    await network.run(60);
    assert.equal(again.now, "OK");
    assert.equal(between.isOpen, true);
  });

  it("goes on without a tracker that does not answer within 2 s", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a"), network.add("b")];
    const link = network.connect(a, b);
    await network.run(100);
    link.silence();
    const written = outcome(put(a, "x", 1));
    await network.run(1999);
    assert.equal(written.now, "waiting");
    await network.run(2);
    assert.equal(written.now, "OK");
    assert.equal(a.replication.connectedCount, 0);
    assert.deepEqual(a.replication.status(), []);
    const next = outcome(put(a, "y", 1));
    await network.run(1);
    assert.equal(next.now, "OK");
  });

  it("gives up a silent link after three missed beats, though nobody writes", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a", { origin: "aa" }), network.add("b", { origin: "bb" })];
    const link = network.connect(a, b);
    await network.run(10_000);
    assert.equal(a.replication.connectedCount, 1, "beats keep a quiet link up");
    link.silence();
    await network.run(2000);
    assert.equal(a.replication.connectedCount, 1);
    await network.run(2100);
    assert.equal(a.replication.connectedCount, 0);
    assert.equal(a.presenceEvents.at(-1), "bb: lost");
  });

  it("asks again for rows that did not come", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a"), network.add("b")];
    network.connect(a, b);
    await network.run(100);
    await a.registry.transact("past the replication", (writer) => writer.put("share", "missed", 1));
    const written = outcome(put(a, "x", 1));
    await network.run(10);
    assert.equal(written.now, "OK");
    assertEqualReplicas(a, b);
  });

  it("sends presence as a whole when the other is caught up, then each change", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a", { origin: "aa" }), network.add("b", { origin: "bb" })];
    a.replication.publish("too early");
    const link = network.connect(a, b);
    a.replication.publish("part of the whole still");
    await network.run(100);
    a.replication.publish("news");
    await network.run(100);
    link.sever();
    assert.deepEqual(b.presenceEvents, ["aa: up", "aa: whole all of a", "aa: change news", "aa: lost"]);
  });

  it("keeps the tracker up while one of two links to it stands", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a", { origin: "aa" }), network.add("b", { origin: "bb" })];
    const links = [network.connect(a, b), network.connect(b, a)];
    await network.run(100);
    assert.equal(a.replication.connectedCount, 1);
    links[0]?.sever();
    assert.equal(b.presenceEvents.includes("aa: lost"), false);
    const written = outcome(put(a, "x", 1));
    await network.run(10);
    assert.equal(written.now, "OK");
    assertEqualReplicas(a, b);
    links[1]?.sever();
    assert.equal(b.presenceEvents.filter((text) => text === "aa: up").length, 1);
    assert.equal(b.presenceEvents.at(-1), "aa: lost");
  });
});

describe("Replication after trackers were apart", () => {
  it("lets the earlier claim stand and tells both sides of the one that lost", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a"), network.add("b")];
    const early = claimUser(a, "alice");
    await network.run(1000);
    const late = claimUser(b, "alice");
    await network.run(10);
    const [earlyId, lateId] = [await early, await late];
    network.connect(a, b);
    await network.run(3000);
    assert.deepEqual(b.lostClaims, [{ kind: "user", name: "alice", claimId: lateId, value: "b" }]);
    assert.deepEqual(a.lostClaims, [], "it never stood there");
    const [ending, ...more] = b.changes.filter(({ records }) => records[0]?.writeId.startsWith("lost:"));
    assert.deepEqual([ending?.isLocal, ending?.records[0]?.claimId, more], [true, lateId, []]);
    assertEqualReplicas(a, b);
    const ended = outcome(a.replication.write("end", (writer) => writer.endClaim("user", earlyId)));
    await network.run(10);
    assert.equal(ended.now, "OK");
    assert.equal(b.registry.claim("user", "alice"), undefined, "what lost does not come back");
  });

  it("brings a new tracker level with more rows than a chunk has, while writes go on", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a"), network.add("b")];
    const filled = a.replication.write("fill", (writer) => {
      for (let index = 0; index < 4600; index++) writer.put("share", `row ${index}`, index);
    });
    await network.run(1);
    await filled;
    network.connect(a, b, 30);
    const outcomes: { now: string }[] = [];
    for (let step = 0; step < 30; step++) {
      await network.run(10);
      outcomes.push(outcome(put(a, `row ${step * 70}`, "later")), outcome(put(b, `b ${step}`, step)));
    }
    assert.equal(a.replication.status()[0]?.state, "catching-up");
    assert.ok((a.replication.status()[0]?.lagRecords ?? 0) > 0);
    await network.run(2000);
    assert.deepEqual(new Set(outcomes.map(({ now }) => now)), new Set(["OK"]));
    assert.equal(a.replication.status()[0]?.state, "connected");
    assert.equal(a.replication.status()[0]?.lagRecords, 0);
    assertEqualReplicas(a, b);
  });

  it("an update of a name that is lost meanwhile goes through, and whose name it was is told", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a"), network.add("b")];
    const early = claimUser(b, "alice");
    await network.run(500);
    const late = claimUser(a, "alice");
    await network.run(10);
    await early;
    const claimId = await late;
    network.connect(a, b, 50);
    await network.run(60);
    const updated = outcome(
      a.replication.write("update", (writer) => writer.updateClaim("user", claimId, "updated")),
    );
    await network.run(1000);
    assert.equal(updated.now, "OK");
    assert.deepEqual(
      a.lostClaims.map(({ claimId }) => claimId),
      [claimId],
    );
    assertEqualReplicas(a, b);
  });

  it("sends nobody what it has just got from there", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a", { origin: "aa" }), network.add("b", { origin: "bb" })];
    const filled = [a, b].map((replica) =>
      replica.replication.write("fill", (writer) => {
        for (let index = 0; index < 2400; index++) writer.put("share", `${replica.name} ${index}`, index);
      }),
    );
    await network.run(1);
    await Promise.all(filled);
    const link = network.connect(a, b, 30);
    await network.run(2000);
    assertEqualReplicas(a, b);
    for (const [to, origin] of [
      ["a", "bb"],
      ["b", "aa"],
    ] as const) {
      const rows = link.delivered
        .filter((message) => message.to === to)
        .flatMap(({ text }) => JSON.parse(text).records ?? []);
      assert.equal(rows.length, 2400);
      assert.ok(rows.every((row) => row.origin === origin));
    }
  });

  it("hands on what came from a third tracker", async (context) => {
    const network = makeNetwork(context);
    const [a, b, c] = [network.add("a"), network.add("b"), network.add("c")];
    network.connect(a, b);
    network.connect(b, c);
    await network.run(100);
    const written = put(a, "x", 1);
    await network.run(4000);
    await written;
    assert.equal(c.registry.get("share", "x"), 1);
    assertEqualReplicas(a, b, c);
  });

  it("hands on a row that comes from a third while its place in the order has been passed", async (context) => {
    const network = makeNetwork(context);
    const [a, c] = [network.add("a", { origin: "zz" }), network.add("c", { origin: "cc" })];
    const filled = a.replication.write("fill", (writer) => {
      for (let index = 0; index < 2400; index++) writer.put("share", `row ${index}`, index);
    });
    await network.run(1);
    await filled;
    const third = a.replication.attach({ send: () => {}, close: () => {} }, "third");
    const say = (message: unknown): void => third.message(JSON.stringify(message));
    const row = (seq: number) => ({
      ...{ kind: "share", key: `third ${seq}`, claimId: "", value: seq, stamp: testStamp(seq, "bb") },
      ...{ origin: "bb", seq, writeId: "w" },
    });
    say({
      type: "hello",
      version: REPLICA_PROTOCOL_VERSION,
      origin: "bb",
      vector: { bb: 9, zz: 2400 },
      stamp: testStamp(9, "bb"),
      clock: { nowMs: START_MS, isDoubted: false, steadyForMs: 0 },
    });
    say({ type: "rows", records: [row(9)] });
    await network.run(1);
    network.connect(a, c, 30);
    await network.run(100);
    assert.equal(c.registry.get("share", "third 9"), 9);
    assert.equal(a.replication.status()[1]?.state, "catching-up");
    say({ type: "rows", records: [row(7)], upTo: { bb: 9 } });
    await network.run(500);
    assert.equal(a.replication.status()[1]?.state, "connected");
    assert.equal(c.registry.vector.bb, 9);
    assert.equal(c.registry.get("share", "third 7"), 7);
  });

  it("gives a restored old copy a new origin and loses neither its writes nor the others'", async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "replica-"));
    context.after(() => rmSync(folder, { recursive: true }));
    const [path, backup] = [join(folder, "registry.db"), join(folder, "backup.db")];
    const network = makeNetwork(context);
    const b = network.add("b");
    const first = network.add("a", { path });
    const { origin } = first.registry;
    const saved = put(first, "saved", 1);
    await network.run(1);
    await saved;
    network.stop(first);
    copyFileSync(path, backup);

    const second = network.add("a", { path });
    network.connect(second, b);
    await network.run(100);
    const more = Promise.all([put(second, "later", 1), put(second, "later still", 1)]);
    await network.run(100);
    await more;
    network.stop(second);

    const restored = network.add("a", { path: backup });
    const apart = put(restored, "while apart", 1); // would bear the number that "later" had
    await network.run(1);
    await apart;
    network.connect(restored, b);
    await network.run(1000);
    assert.notEqual(restored.registry.origin, origin);
    assert.notEqual(restored.registry.origin, second.registry.origin);
    for (const replica of [restored, b]) {
      for (const key of ["saved", "later", "later still", "while apart"]) {
        assert.equal(replica.registry.get("share", key), 1, `${key} at ${replica.name}`);
      }
    }
    assertEqualReplicas(restored, b);
    const c = network.add("c");
    network.connect(c, b);
    network.connect(c, restored);
    const written = put(restored, "new", 1);
    await network.run(8000);
    await written;
    assertEqualReplicas(restored, b, c);
  });

  it("doubts a claim no more when the hello of one that had heard of it shows that, and not at another's", async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "replica-"));
    context.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "registry.db");
    const network = makeNetwork(context);
    const [b, c, d] = [network.add("b"), network.add("c"), network.add("d")];
    const died = network.add("a", { path });
    network.connect(died, b, 20);
    await network.run(1000);
    outcome(claimUser(died, "alice"));
    await network.run(25);
    network.stop(died); // b has stored the claim, and the answer is on its way
    assert.equal(b.registry.claim("user", "alice")?.value, "a");
    const later = outcome(claimUser(c, "alice"));
    await network.run(10);
    assert.equal(later.now, "OK", "c is apart from both");

    const a = network.add("a", { path });
    assert.equal(a.registry.doubtfulClaims.length, 1, "it died before it noted that somebody was told");
    const stranger = network.connect(a, d);
    await network.run(1);
    assert.equal(a.registry.doubtfulClaims.length, 1, "d had not heard of the claim");
    stranger.sever();
    network.connect(a, b);
    await network.run(100);
    assert.deepEqual(a.registry.doubtfulClaims, []);
    network.connect(a, c);
    await network.run(5000);
    for (const replica of [a, b, c])
      assert.equal(replica.registry.claim("user", "alice")?.value, "a", `the earlier, at ${replica.name}`);
    assertEqualReplicas(a, b, c);
  });

  it("finds out that registries differ although their vectors agree, and mends that", async (context) => {
    const network = makeNetwork(context);
    const [a, b] = [network.add("a"), network.add("b")];
    const written = put(a, "x", 1);
    await network.run(1);
    await written;
    await b.registry.merge([], a.registry.vector);
    network.connect(a, b);
    await network.run(1500);
    assert.equal(b.registry.get("share", "x"), undefined);
    await network.run(3000);
    assert.equal(b.registry.get("share", "x"), 1);
    assertEqualReplicas(a, b);
  });

  it("makes replicas equal after any history of writes, breaks and reunions", async (context) => {
    const replicaIndex = fc.nat(2);
    const step = fc.oneof(
      fc.record({ type: fc.constant("claim" as const), at: replicaIndex, key: fc.nat(3) }),
      fc.record({ type: fc.constant("end" as const), at: replicaIndex, key: fc.nat(3) }),
      fc.record({ type: fc.constant("put" as const), at: replicaIndex, key: fc.nat(3) }),
      fc.record({ type: fc.constant("break" as const), at: replicaIndex, isSilent: fc.boolean() }),
      fc.record({ type: fc.constant("join" as const), at: replicaIndex, delayMs: fc.nat(40) }),
      fc.record({ type: fc.constant("run" as const), durationMs: fc.nat(1500) }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.tuple(fc.nat(5000), fc.nat(5000)),
        async (steps, skews) => {
          const network = makeNetwork(context);
          const [a, b, c] = [
            network.add("a", { skewMs: skews[0] }),
            network.add("b", { skewMs: -skews[1] }),
            network.add("c"),
          ];
          const replicas = [a, b, c];
          const pairs = [[a, b] as const, [b, c] as const, [c, a] as const];
          const links: (VirtualLink | undefined)[] = [];
          const writes: { now: string }[] = [];
          for (const now of steps) {
            if (now.type === "run") {
              await network.run(now.durationMs);
              continue;
            }
            const replica = replicas[now.at] ?? a;
            if (now.type === "claim") writes.push(outcome(claimUser(replica, `user ${now.key}`)));
            else if (now.type === "put") writes.push(outcome(put(replica, `key ${now.key}`, writes.length)));
            else if (now.type === "end") {
              const end = replica.replication.write("end", (writer) => {
                const claim = writer.claim("user", `user ${now.key}`);
                if (claim !== undefined) writer.endClaim("user", claim.claimId);
              });
              writes.push(outcome(end));
            } else if (now.type === "break") {
              if (now.isSilent) links[now.at]?.silence();
              else links[now.at]?.sever();
            } else if (links[now.at]?.isOpen !== true) {
              const [one, other] = pairs[now.at] ?? [a, b];
              links[now.at] = network.connect(one, other, now.delayMs);
            }
          }
          await network.run(5000);
          const outcomes = new Set(writes.map(({ now }) => now));
          for (const expected of ["OK", "USER_EXISTS", "NAME_TAKEN_ELSEWHERE"]) outcomes.delete(expected);
          assert.deepEqual([...outcomes], [], "every write ends, in one of these ways");
          for (const [index, [one, other]] of pairs.entries()) {
            if (links[index]?.isOpen !== true) network.connect(one, other);
          }
          await network.run(10_000);
          assertEqualReplicas(a, b, c);
          const live = a.registry
            .since({}, 10_000)
            .filter(({ kind, value }) => kind === "user" && value !== undefined)
            .map(({ key }) => key);
          assert.equal(
            new Set(live).size,
            live.length,
            "a name has one live claim: those that lost are ended",
          );
          network.close();
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("Replication and what it is sent", () => {
  it("takes the rows of a tracker whose clock is a day ahead and nothing of its time; what replaces them stands everywhere", async (context) => {
    const network = makeNetwork(context);
    const dayMs = 24 * 60 * 60 * 1000;
    const [a, b] = [network.add("a"), network.add("b", { skewMs: dayMs })];
    const before = [put(b, "kept", "ahead"), put(b, "replaced", "ahead"), put(b, "removed", "ahead")];
    await network.run(10);
    await Promise.all(before);
    network.connect(a, b);
    await network.run(3_000);
    assert.equal(a.replication.connectedCount, 1);
    assert.equal(a.registry.get("share", "kept"), "ahead");
    assert.ok(stampMs(a.registry.latestStamp) <= network.clock.nowMs());
    assert.deepEqual(
      [a.clockWatch.doubt?.why, b.clockWatch.doubt?.why],
      [undefined, "unlike other trackers"],
      "of two that differ one goes on",
    );
    const after = [
      put(a, "replaced", "right"),
      a.replication.write("gone", (writer) => writer.remove("share", "removed")),
    ];
    await network.run(100);
    await Promise.all(after);
    for (const { registry } of [a, b]) {
      assert.equal(registry.get("share", "replaced"), "right");
      assert.equal(registry.get("share", "removed"), undefined);
    }
    await network.run(3_000);
    assert.equal(a.registry.digest(), b.registry.digest());
    assert.deepEqual(a.warnings, []);
  });

  it("a tracker that wrote while its clock was ahead writes at the right time once the clock is right, under a new origin", async (context) => {
    const network = makeNetwork(context);
    const dayMs = 24 * 60 * 60 * 1000;
    let skewMs = dayMs;
    const [a, b] = [network.add("a"), network.add("b", { skewMs: () => skewMs })];
    const ahead = put(b, "ahead", 1);
    await network.run(10);
    await ahead;
    const { origin } = b.registry;
    skewMs = 0;
    await network.run(2_000);
    assert.equal(b.clockWatch.doubt?.why, "jumped", "alone it cannot know which time was right");
    network.connect(a, b);
    await network.run(2_000);
    assert.equal(b.clockWatch.doubt, undefined);
    assert.notEqual(b.registry.origin, origin);
    const written = put(b, "ahead", 2);
    const other = put(b, "other", 2);
    await network.run(100);
    await Promise.all([written, other]);
    assert.ok(stampMs(b.registry.latestStamp) <= network.clock.nowMs());
    assert.equal(a.registry.get("share", "ahead"), 2);
    assert.equal(a.registry.get("share", "other"), 2);
    await network.run(3_000);
    assert.equal(a.registry.digest(), b.registry.digest());
  });

  /** A replica whose other end is the test itself. */
  function attach(context: TestContext): {
    replica: Replica;
    closed: string[];
    say: (message: unknown) => void;
    sent: string[];
  } {
    const network = makeNetwork(context);
    const replica = network.add("a", { origin: "aa" });
    const [closed, sent]: [string[], string[]] = [[], []];
    const channel: ReplicaChannel = {
      send: (text) => sent.push(text),
      close: (reason) => closed.push(reason),
    };
    const receiver = replica.replication.attach(channel, "test");
    return { replica, closed, sent, say: (message) => receiver.message(JSON.stringify(message)) };
  }
  const stamp = testStamp(0, "zz");
  const clock = { nowMs: START_MS, isDoubted: false, steadyForMs: 0 };
  const hello = { type: "hello", version: REPLICA_PROTOCOL_VERSION, origin: "zz", vector: {}, stamp, clock };
  const row = { kind: "share", key: "k", claimId: "", value: 1, stamp, origin: "zz", seq: 1, writeId: "w" };

  it("closes on anything that is not of the protocol, and stores nothing of it", (context) => {
    const push = { type: "push", id: 1, origin: "zz", after: 0, upTo: 1 };
    const wrong: unknown[][] = [
      [null],
      [{ type: "beat", vector: {}, digest: "", stamp }],
      [{ ...hello, version: REPLICA_PROTOCOL_VERSION - 1 }],
      [{ ...hello, vector: { "../x": 1 } }],
      [{ ...hello, stamp: IMPOSSIBLE_STAMP }],
      [{ ...hello, clock: undefined }],
      [{ ...hello, clock: { ...clock, nowMs: "now" } }],
      [{ ...hello, origin: "aa" }],
      [hello, hello],
      [hello, { type: "got" }, { type: "got" }],
      [hello, { type: "stored", id: 5, earlier: [] }],
      [hello, { ...push, records: [{ ...row, kind: "toString" }] }],
      [hello, { ...push, records: [{ ...row, kind: "user" }] }],
      [hello, { ...push, records: [{ ...row, key: "a\0b" }] }],
      [hello, { ...push, records: [{ ...row, seq: -1 }] }],
      [hello, { ...push, records: [{ ...row, stamp: "now" }] }],
      [hello, { ...push, records: [{ ...row, isRetry: "yes" }] }],
    ];
    for (const messages of wrong) {
      const { replica, closed, say } = attach(context);
      for (const message of messages) say(message);
      assert.equal(closed.length, 1, JSON.stringify(messages));
      assert.deepEqual(replica.registry.since({}, 10), []);
    }
  });

  it("closes on a row that no clock can have stamped", async (context) => {
    const { replica, closed, say } = attach(context);
    say(hello);
    const future = { ...row, stamp: IMPOSSIBLE_STAMP };
    say({ type: "rows", records: [future] });
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(closed.length, 1);
    assert.equal(replica.registry.get("share", "k"), undefined);
  });

  it("logs why a link failed once, until it fails for another reason, for each tracker", async (context) => {
    const network = makeNetwork(context);
    const replica = network.add("a", { origin: "aa" });
    const fail = async (name: string, error?: Error) => {
      const receiver = replica.replication.attach({ send: () => {}, close: () => {} }, name);
      if (error === undefined) receiver.message("not JSON");
      else {
        const refusing = context.mock.method(replica.registry, "merge", () => Promise.reject(error));
        receiver.message(JSON.stringify(hello));
        receiver.message(JSON.stringify({ type: "rows", records: [] }));
        await network.run(1);
        refusing.mock.restore();
      }
    };
    for (let times = 0; times < 2; times++) await fail("b");
    await fail("c");
    for (let times = 0; times < 2; times++) await fail("b", new MiniTorrentError("DISK_FULL", "Full."));
    const logged = replica.warnings.map((line) => JSON.parse(line));
    assert.deepEqual(
      logged.map(({ tracker, msg }) => [tracker, msg]),
      [
        ["b", "link to tracker failed: A tracker sent something that is not JSON."],
        ["c", "link to tracker failed: A tracker sent something that is not JSON."],
        ["b", "link to tracker failed: Full."],
      ],
    );
  });

  it("keeps in mind the most that it has heard of", (context) => {
    const { replica, say } = attach(context);
    say({ ...hello, vector: { zz: 5, yy: 1 } });
    say({ type: "beat", vector: { zz: 3, yy: 2 }, digest: "", stamp, clock });
    assert.deepEqual(replica.replication.heard, { zz: 5, yy: 2 });
  });

  it("survives arbitrary messages", (context) => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constant(hello), fc.json(), fc.object()), { maxLength: 5 }),
        (messages) => {
          const { say } = attach(context);
          for (const message of messages) say(message);
        },
      ),
      { numRuns: 50 },
    );
  });
});
