// Row f: a simulated swarm of a thousand leechers with mixed links, one in twenty of whom is replaced by another, in
// virtual time against its fluid bound; and what a decision of the picker costs. The real code of src/swarm.
import { spreadInCrowd } from "../../test/sim/crowd.ts";
import { measurePick } from "../picker.ts";
import { atMost, type Conditions, digits, type Row, type RowResult, seconds } from "../report.ts";

const MIB = 1024 ** 2;
const TIMES_BOUND = 1.2;
const MICROSECONDS = 20;
/** A small file in small pieces, as the tests have it: a thousand leechers with more take minutes. */
const CROWD = { lengthBytes: 16 * MIB, pieceLengthBytes: 64 * 1024, degree: 8 };
const LEAVER_PART = 1 / 20;

export const decisions: Row = {
  name: "f",
  work: "a simulated swarm of 1,000 leechers; a decision of the picker",
  async run({ isQuick, say }: Conditions): Promise<RowResult> {
    const small = measurePick(1000, 20);
    const large = measurePick(100_000, 200);
    const leecherCount = isQuick ? 100 : 1000;
    const startedMs = performance.now();
    const crowd = spreadInCrowd({ ...CROWD, leecherCount, leaverCount: leecherCount * LEAVER_PART });
    const tookSeconds = (performance.now() - startedMs) / 1000;
    say(`f: ${leecherCount} leechers simulated in ${seconds(tookSeconds)}`);
    const wastePercent = crowd.waste * 100;
    return {
      marks: [
        atMost(
          TIMES_BOUND,
          "×",
          `the bound: ${leecherCount} leechers, virtual`,
          crowd.seconds / crowd.boundSeconds,
        ),
        atMost(MICROSECONDS, "µs", "a pick: 100,000 pieces, 200 peers", large.microseconds),
      ],
      figures: {
        ...{ leecherCount, virtualSeconds: crowd.seconds, boundSeconds: crowd.boundSeconds, wastePercent },
        ...{ smallMicroseconds: small.microseconds, largeMicroseconds: large.microseconds },
      },
      lines: [
        `virtual ${seconds(crowd.seconds)}, bound ${seconds(crowd.boundSeconds)}, ${digits(wastePercent)} % of bytes for nothing; simulated in ${seconds(tookSeconds)}`,
        `1,000 pieces, 20 peers: ${digits(small.microseconds)} µs a pick; pieces looked at: ${digits(small.piecesLookedAt)}, and ${digits(large.piecesLookedAt)} with 100,000`,
      ],
    };
  },
};
