import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { SmartBan } from "../../../src/swarm/smart-ban.ts";

describe("trust", () => {
  it("bans who fails alone at once", () => {
    const trust = new SmartBan();
    assert.deepEqual(trust.pieceFailed(7, [3]), [3]);
    assert.equal(trust.isBanned(3), true);
    assert.deepEqual([trust.bannedFor(3), trust.bannedFor(4)], [7, undefined]);
  });

  it("puts several on parole, of whom one proves themself and the other is found out", () => {
    const trust = new SmartBan();
    assert.deepEqual(trust.pieceFailed(7, [1, 2]), []);
    assert.deepEqual([trust.isOnParole(1), trust.isOnParole(2), trust.isOnParole(0)], [true, true, false]);
    trust.pieceVerified([1]);
    assert.equal(trust.isOnParole(1), false);
    // A good piece together with others proves nothing.
    trust.pieceVerified([0, 2]);
    trust.pieceVerified([2, 0]);
    assert.equal(trust.isOnParole(2), true);
    assert.deepEqual(trust.pieceFailed(7, [2]), [2]);
    assert.equal(trust.isOnParole(2), false);
  });

  it("never bans who sends only good blocks, whatever the mixture, and a ban is for good", () => {
    const liar = 0;
    fc.assert(
      fc.property(fc.array(fc.uniqueArray(fc.nat(5), { minLength: 1 }), { maxLength: 60 }), (pieces) => {
        const trust = new SmartBan();
        let wasBanned = false;
        for (const contributors of pieces) {
          if (contributors.includes(liar)) trust.pieceFailed(0, contributors);
          else trust.pieceVerified(contributors);
          for (let honest = 1; honest <= 5; honest++) assert.equal(trust.isBanned(honest), false);
          assert.ok(!wasBanned || trust.isBanned(liar));
          wasBanned = trust.isBanned(liar);
        }
      }),
    );
  });
});
