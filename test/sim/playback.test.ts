// A member plays a file while it downloads: how soon it starts, whether it ever waits, and what that costs the swarm. Everybody
// has the same link; the file is played at half its rate, from a random place on.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Bitfield } from "../../src/metainfo/bitfield.ts";
import { Player } from "./playback.ts";
import type { Host } from "./simulated-host.ts";
import { SwarmNetwork } from "./swarm-network.ts";
import { seededRandom } from "./virtual-clock.ts";

const MIB = 1024 * 1024;
const LINK_BYTES_PER_SECOND = 12_500_000;
const PLAYBACK_BYTES_PER_SECOND = LINK_BYTES_PER_SECOND / 2;
const LENGTH_BYTES = 96 * MIB;
/** Of the file; what is left is played for at least 4 s. */
const LATEST_START = 0.7;

interface Scene {
  readonly seeds: number;
  /** Seeds that upload 50 KB/s. */
  readonly slowSeeds?: number;
  readonly leechers?: number;
  /** The share of pieces that each leecher has already, at random. */
  readonly leechersHave?: number;
  readonly latencyMs?: number;
  /** What the kernel takes of each connection's bytes before they go on their way. */
  readonly socketBytes?: number;
}

interface Stage {
  readonly network: SwarmNetwork;
  readonly seeds: readonly Host[];
  readonly everybody: readonly Host[];
  readonly host: Host;
  readonly random: () => number;
}

function stage(scene: Scene, seed: number): Stage {
  const { latencyMs = 1, socketBytes = 0 } = scene;
  const random = seededRandom(seed);
  const network = new SwarmNetwork({ lengthBytes: LENGTH_BYTES, seed: 100 * seed, latencyMs, socketBytes });
  const link = { upBytesPerSecond: LINK_BYTES_PER_SECOND, downBytesPerSecond: LINK_BYTES_PER_SECOND };
  const add = (userId: string, has: "all" | Bitfield, upBytesPerSecond = LINK_BYTES_PER_SECOND): Host =>
    network.add({ ...link, userId, has, upBytesPerSecond });
  const seeds = Array.from({ length: scene.seeds }, (_, index) => add(`seed ${index}`, "all"));
  for (let index = 0; index < (scene.slowSeeds ?? 0); index++) add(`slow seed ${index}`, "all", 50_000);
  const everybody: Host[] = [];
  for (let index = 0; index < (scene.leechers ?? 0); index++) {
    const has = new Bitfield(network.geometry.pieceCount);
    for (let piece = 0; piece < has.pieceCount; piece++) {
      if (random() < (scene.leechersHave ?? 0)) has.set(piece);
    }
    everybody.push(add(`leecher ${index}`, has));
  }
  const host = network.add({ ...link, userId: "player" });
  everybody.push(host);
  return { network, seeds, everybody, host, random };
}

/** The time until everybody is done, to the time it takes when nobody plays. */
function finishRatio(scene: Scene, seed: number, seconds: number): number {
  const { network, everybody } = stage(scene, seed);
  return seconds / network.runUntilComplete(everybody);
}

function plays(
  scene: Scene,
  { mostStartSeconds = 2, mostStalledSeconds = 0, mostFinishRatio = 1.03 } = {},
): void {
  for (const seed of [1, 2, 3]) {
    const { network, everybody, host, random } = stage(scene, seed);
    const player = new Player(host, {
      positionBytes: Math.floor(random() * LATEST_START * LENGTH_BYTES),
      bytesPerSecond: PLAYBACK_BYTES_PER_SECOND,
    });
    const seconds = network.runUntilComplete(everybody);
    network.clock.runUntil(() => player.isAtEnd, network.clock.nowMs + 60_000);
    const about = `with random numbers from ${seed}`;
    assert.ok(player.startSeconds < mostStartSeconds, `it starts after ${player.startSeconds} s, ${about}`);
    assert.ok(
      player.stalledSeconds <= mostStalledSeconds,
      `it stalls for ${player.stalledSeconds} s, ${about}`,
    );
    assert.equal(player.isAtEnd, true, `it plays to the end, ${about}`);
    const ratio = finishRatio(scene, seed, seconds);
    assert.ok(ratio <= mostFinishRatio, `all are done after ${ratio} times the time without it, ${about}`);
  }
}

describe("playing a file while it downloads starts within two seconds and never stalls", () => {
  it("from one seed, of which the rest comes as soon as ever", () => {
    plays({ seeds: 1 }, { mostFinishRatio: 1.001 });
    plays({ seeds: 1, latencyMs: 50 }, { mostFinishRatio: 1.001 });
  });

  it("in a swarm whose leechers have half of it, for at most 1 % of the time of all", () => {
    plays({ seeds: 2, leechers: 6, leechersHave: 0.5 }, { mostFinishRatio: 1.01 });
    plays({ seeds: 2, leechers: 6, leechersHave: 0.5, socketBytes: MIB }, { mostFinishRatio: 1.01 });
  });

  it("beside as many leechers as seeds that all start at once, for at most 2 %", () => {
    plays({ seeds: 4, leechers: 4, socketBytes: MIB }, { mostFinishRatio: 1.02 });
  });

  it("with slow seeds among the fast: they are not asked for what is needed soon", () => {
    plays({ seeds: 2, slowSeeds: 2 });
  });
});

// It takes some round trips to find out who is slow.
it("over round trips of 100 ms with slow seeds, playing starts within 3 s", () => {
  const scene = { seeds: 2, slowSeeds: 2, leechers: 4, leechersHave: 0.5, latencyMs: 50 };
  plays(scene, { mostStartSeconds: 3, mostStalledSeconds: 0.2, mostFinishRatio: 1.07 });
});

// One uplink has to bring every piece to the swarm once: nobody can be given half of it.
it("in a crowd that starts at once from one seed, playing starts within 5 s, stalls for less than one, and costs at most 6 %", () => {
  plays({ seeds: 1, leechers: 7 }, { mostStartSeconds: 5, mostStalledSeconds: 1, mostFinishRatio: 1.06 });
});

describe("a reader that jumps", () => {
  it("plays on within two seconds, also when seeds vanish without a word", () => {
    for (const seed of [1, 2, 3]) {
      const { network, seeds, host, random } = stage({ seeds: 3, leechers: 3, leechersHave: 0.5 }, seed);
      const bytesPerSecond = PLAYBACK_BYTES_PER_SECOND;
      const first = new Player(host, { positionBytes: random() * 0.3 * LENGTH_BYTES, bytesPerSecond });
      network.clock.runFor(2500);
      first.close();
      seeds[0]?.freeze();
      const second = new Player(host, {
        positionBytes: (0.5 + random() * 0.2) * LENGTH_BYTES,
        bytesPerSecond,
      });
      network.clock.runUntil(() => second.isAtEnd, network.clock.nowMs + 60_000);
      assert.ok(second.startSeconds < 2, `it starts after ${second.startSeconds} s`);
      assert.deepEqual([second.stallCount, second.isAtEnd], [0, true]);
    }
  });

  it("may be one of several: each plays at a quarter of the link", () => {
    const { network, host } = stage({ seeds: 2 }, 4);
    const bytesPerSecond = LINK_BYTES_PER_SECOND / 4;
    const players = [0.1, 0.5].map(
      (part) =>
        new Player(host, {
          positionBytes: part * LENGTH_BYTES,
          bytesPerSecond,
          endBytes: (part + 0.3) * LENGTH_BYTES,
        }),
    );
    network.clock.runUntil(() => players.every(({ isAtEnd }) => isAtEnd), 60_000);
    for (const player of players) {
      assert.ok(player.startSeconds < 2, `it starts after ${player.startSeconds} s`);
      assert.deepEqual([player.stallCount, player.isAtEnd], [0, true]);
    }
  });
});

it("what is not read arrives rarest first meanwhile", () => {
  const network = new SwarmNetwork({ lengthBytes: LENGTH_BYTES });
  const { pieceCount } = network.geometry;
  const even = new Bitfield(pieceCount);
  for (let piece = 0; piece < pieceCount; piece += 2) even.set(piece);
  network.add({ userId: "seed", has: "all" });
  // They want no more than they have: the odd pieces stay rare.
  for (const userId of ["bob", "carol", "dave"]) network.add({ userId, has: even, wanted: even });
  const host = network.add({ userId: "player" });
  const positionBytes = 0.6 * LENGTH_BYTES;
  const player = new Player(host, { positionBytes, bytesPerSecond: LINK_BYTES_PER_SECOND / 8 });
  const firstRead = Math.floor(positionBytes / network.geometry.pieceLengthBytes);
  // Of the pieces before the position, those that came from the seed alone: it has both kinds.
  const rest: number[] = [];
  network.onEvent = (_host, event) => {
    if (event.type !== "piece-verified" || event.pieceIndex >= firstRead) return;
    if (event.userIds.join() === "seed") rest.push(event.pieceIndex);
  };
  network.clock.runUntil(() => rest.length === 40, 60_000);
  const rareCount = rest.filter((piece) => piece % 2 === 1).length;
  assert.ok(rareCount >= 36, `${rareCount} of the first 40 are rare`);
  assert.equal(player.stallCount, 0);
});
