// Very many leechers with mixed links, some of whom leave while others come, against the bound that no schedule beats
// (crowd.ts), and how the time grows with their number. Virtual time: the machine's speed decides nothing. The file is
// small for such a swarm, 256 pieces: the 2 s and more until all uplinks are busy do not depend on the file, so that a larger one
// comes closer to the bound. CROWD=1000 simulates a thousand, as .ci/run does; that takes the better part of a minute.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { spreadInCrowd } from "./crowd.ts";

const MIB = 1024 * 1024;
const CROWD = { lengthBytes: 16 * MIB, pieceLengthBytes: 64 * 1024, degree: 8 };
const MOST_LEECHERS = Number(process.env.CROWD ?? 200);
/** To the bound: a thousand are at 1.15. */
const MARK = 1.2;
/** So much of all bytes for nothing. */
const MOST_WASTE = 0.025;

describe("a crowd", () => {
  it(`of ${MOST_LEECHERS}, one in twenty of whom is replaced, comes near the bound, and grows as the logarithm`, {
    timeout: 600_000,
  }, () => {
    const ten = spreadInCrowd({ ...CROWD, leecherCount: 10 });
    const hundred = spreadInCrowd({ ...CROWD, leecherCount: 100, leaverCount: 5 });
    const most = spreadInCrowd({ ...CROWD, leecherCount: MOST_LEECHERS, leaverCount: MOST_LEECHERS / 20 });
    for (const { seconds, boundSeconds, waste } of [ten, hundred, most]) {
      assert.ok(seconds <= MARK * boundSeconds, `${seconds / boundSeconds} times the bound`);
      assert.ok(waste < MOST_WASTE, `${waste * 100} % for nothing`);
    }
    // On from ten and a hundred by the logarithm, give or take a tenth: who comes last is chance.
    const addedByTen = hundred.seconds - ten.seconds;
    const expected = hundred.seconds + addedByTen * Math.log10(MOST_LEECHERS / 100);
    assert.ok(most.seconds <= 1.1 * expected, `${ten.seconds} s, ${hundred.seconds} s, ${most.seconds} s`);
  });

  it("of eight, all of whom are replaced by others in the first third of the time, takes 1.1 times the bound", () => {
    const { seconds, boundSeconds } = spreadInCrowd({ ...CROWD, leecherCount: 8, leaverCount: 8 });
    assert.ok(seconds <= 1.1 * boundSeconds, `${seconds / boundSeconds} times the bound`);
  });
});
