// Ten members who misbehave beside one honest seeder: the download takes hardly longer than without them, and each of
// them is named.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { peerStatuses } from "../../src/engine/peer-status.ts";
import { addOffender, OFFENCES, type Offence } from "./offenders.ts";
import { SwarmNetwork } from "./swarm-network.ts";

const MIB = 1024 * 1024;
const MOST_TIMES_LONGER = 1.5;
/** What a client has for pieces that are being put together. */
const MEMORY_BYTES = 64 * MIB;

function download(lengthBytes: number, pieceLengthBytes: number, offences: readonly Offence[]) {
  const network = new SwarmNetwork({ lengthBytes, pieceLengthBytes });
  network.add({ userId: "honest", has: "all" });
  const leecher = network.add({ userId: "leecher", memoryPieces: MEMORY_BYTES / pieceLengthBytes });
  const offenders = offences.map((offence, number) => addOffender(network, leecher, offence, number));
  return { network, leecher, offenders };
}

describe("ten at once beside one honest seeder", () => {
  const crowds: readonly (readonly [string, readonly Offence[]])[] = [
    ["two of each kind", [...OFFENCES, ...OFFENCES]],
    ...OFFENCES.map((offence) => [`each of whom ${offence}`, Array<Offence>(10).fill(offence)] as const),
  ];
  for (const [crowd, offences] of crowds) {
    it(`${crowd}: the download takes at most half as long again`, () => {
      for (const pieceLengthBytes of [MIB / 4, 4 * MIB]) {
        const alone = download(96 * MIB, pieceLengthBytes, []);
        const { network, leecher } = download(96 * MIB, pieceLengthBytes, offences);
        const ratio = network.runUntilComplete([leecher]) / alone.network.runUntilComplete([alone.leecher]);
        assert.ok(ratio < MOST_TIMES_LONGER, `${ratio} times as long, pieces of ${pieceLengthBytes}`);
        network.clock.runFor(1000);
        assert.equal(leecher.storage.reservedCount, 0);
      }
    });
  }

  it("each of them is named for what it does, while it is there and when it is gone; nobody else is", () => {
    const { network, leecher, offenders } = download(512 * MIB, MIB, [...OFFENCES, ...OFFENCES]);
    const named = () =>
      peerStatuses(leecher.torrent.status())
        .filter(({ remarks }) => remarks.length > 0)
        .map(({ userId, remarks }) => `${userId}: ${remarks.join(", ")}`)
        .sort();
    network.clock.runFor(9_000);
    assert.deepEqual(named(), [
      "corrupts 3: banned: sent bad data",
      "corrupts 8: banned: sent bad data",
      "drips 1: silent for 8 s",
      "drips 6: silent for 8 s",
      "pretends 4: snubbed, rejects what it says it has",
      "pretends 9: snubbed, rejects what it says it has",
      "stalls 0: silent for 8 s",
      "stalls 5: silent for 8 s",
      "vanishes 2: snubbed, silent for 7 s",
      "vanishes 7: snubbed, silent for 7 s",
    ]);
    assert.ok(network.runUntilComplete([leecher]) < 60);
    // Those who say that they have everything are parted from a second after the last piece.
    network.clock.runFor(1100);
    network.clock.runFor(100);
    const inTheEnd = named().join("; ");
    for (const userId of offenders) assert.match(inTheEnd, new RegExp(`${userId}: (gone|banned)`));
    assert.doesNotMatch(inTheEnd, /honest/);
  });
});
