import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FirstCopies } from "../../../src/swarm/first-copies.ts";
import { ShareOut } from "../../../src/swarm/share-out.ts";

describe("first copies", () => {
  it("are what nobody has and nobody else is being sent", () => {
    const elsewhere = new Set([3]);
    const firstCopies = new FirstCopies(5, (pieceIndex) => !elsewhere.has(pieceIndex));
    assert.equal(firstCopies.isNewFor(0, 3), false);
    firstCopies.sent(0, 1);
    assert.equal(firstCopies.isNewFor(0, 1), true);
    assert.equal(firstCopies.isNewFor(1, 1), false);
    firstCopies.peerLeft(0);
    assert.equal(firstCopies.isNewFor(1, 1), true);
  });

  it("put others off for a second at most", () => {
    const firstCopies = new FirstCopies(5, () => true);
    assert.equal(firstCopies.mustWait(2, 100), true);
    assert.equal(firstCopies.mustWait(2, 1000), true);
    assert.equal(firstCopies.mustWait(2, 1101), false);
    firstCopies.sent(2, 0);
    assert.equal(firstCopies.mustWait(2, 1102), true);
  });
});

describe("the share-out", () => {
  it("gives every run to exactly one of those who know each other, and about as many to each", () => {
    const devices = ["c", "a", "e", "b", "d"];
    const shares = devices.map((own) => {
      const shareOut = new ShareOut(own);
      for (const other of devices) if (other !== own) shareOut.leecherCame(other);
      return shareOut;
    });
    const counts = devices.map(() => 0);
    for (let run = 0; run < 1000; run++) {
      const owners = shares.flatMap((share, index) => (share.isOurs(run) ? [index] : []));
      assert.equal(owners.length, 1);
      const [owner = 0] = owners;
      counts[owner] = (counts[owner] ?? 0) + 1;
    }
    for (const count of counts) assert.ok(count > 150 && count < 250, `${counts}`);
  });

  it("gives a leecher that is alone everything, and so one that does not know its own name", () => {
    const alone = new ShareOut("a");
    alone.leecherCame("b");
    alone.leecherLeft("b");
    const nameless = new ShareOut(undefined);
    nameless.leecherCame("b");
    for (let run = 0; run < 100; run++) assert.ok(alone.isOurs(run) && nameless.isOurs(run));
  });
});
