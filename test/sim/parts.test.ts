// Members of whom each wants some pieces, as of a folder of which each takes other files. Pieces end with padding.
import assert from "node:assert/strict";
import { it } from "node:test";
import { Bitfield } from "../../src/metainfo/bitfield.ts";
import { Geometry } from "../../src/metainfo/geometry.ts";
import { SwarmNetwork } from "./swarm-network.ts";
import { seededRandom } from "./virtual-clock.ts";

const MIB = 1024 * 1024;
const PIECE_BYTES = 256 * 1024;
const PIECES = 256;

it("members get the pieces they want and no others, from each other too, and part when nobody needs anything", () => {
  const random = seededRandom(5);
  const padding = Uint32Array.from({ length: PIECES }, () =>
    random() < 0.3 ? Math.floor(random() * PIECE_BYTES) : 0,
  );
  const geometry = new Geometry(PIECES * PIECE_BYTES, PIECE_BYTES, padding);
  const network = new SwarmNetwork({ lengthBytes: geometry.lengthBytes, geometry, socketBytes: MIB });
  const seeder = network.add({ userId: "seeder", has: "all" });
  const union = new Bitfield(PIECES);
  const choose = (): Bitfield => {
    const wanted = new Bitfield(PIECES);
    const first = Math.floor(random() * PIECES);
    for (let step = 0; step < PIECES / 3; step++) wanted.set((first + step) % PIECES);
    for (let piece = 0; piece < PIECES; piece++) if (wanted.has(piece)) union.set(piece);
    return wanted;
  };
  const members = Array.from({ length: 6 }, (_, index) => {
    const wanted = choose();
    return { wanted, host: network.add({ userId: `member ${index}`, wanted }) };
  });
  const hosts = members.map(({ host }) => host);
  const seconds = network.runUntilComplete(hosts);
  assert.ok(seconds < Number.POSITIVE_INFINITY, "all get what they want");
  for (const { wanted, host } of members) {
    assert.deepEqual(host.torrent.have.toBytes(), wanted.toBytes());
    const { bytesVerified, bytesWanted, wastedBytes } = host.torrent.status();
    assert.deepEqual(
      [bytesVerified, bytesWanted],
      [geometry.contentBytesOf(wanted), geometry.contentBytesOf(wanted)],
    );
    assert.ok(wastedBytes <= 0.02 * bytesWanted, `${wastedBytes} bytes for nothing`);
  }
  const unionBytes = geometry.contentBytesOf(union);
  assert.ok(
    seeder.sentBytes < 1.3 * unionBytes,
    `the seeder sent ${seeder.sentBytes / unionBytes} times what is wanted`,
  );
  network.clock.runFor(2000);
  for (const host of [seeder, ...hosts])
    assert.equal(host.torrent.peerCount, 0, `${host.userId} is connected`);

  // More is wanted after the seeder has gone: what others have is to be had.
  seeder.leave();
  const [asking, giving] = members;
  assert.ok(asking && giving);
  asking.host.torrent.want(giving.wanted);
  network.connect(asking.host, giving.host);
  assert.ok(network.runUntilComplete([asking.host]) < 60);
  for (let piece = 0; piece < PIECES; piece++) {
    assert.equal(asking.host.torrent.have.has(piece), asking.wanted.has(piece) || giving.wanted.has(piece));
  }
});
