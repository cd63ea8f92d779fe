// Peers that misbehave, for the simulated swarm: each speaks for itself, without a Torrent of its own.

import { BLOCK_LENGTH_BYTES } from "../../src/metainfo/geometry.ts";
import { PIECE_HEADER_BYTES, writePieceHeader } from "../../src/metainfo/piece-header.ts";
import type { PeerListener } from "../../src/wire/messages.ts";
import type { Host } from "./simulated-host.ts";
import { SimulatedLink } from "./simulated-link.ts";
import { CORRUPT_BLOCK, GOOD_BLOCK } from "./simulated-storage.ts";
import type { SwarmNetwork } from "./swarm-network.ts";

/** After a connection was closed it is made anew, as the real connection manager does. */
const RECONNECT_MS = 500;

/**
 * stalls: says that it has everything, and sends nothing. drips: begins a block, and never comes to its end.
 * vanishes: gives well for a second, then nothing comes from it and nobody is told.
 * corrupts: one block of a hundred is wrong. pretends: says that it has everything, and rejects every request.
 */
export const OFFENCES = ["stalls", "drips", "vanishes", "corrupts", "pretends"] as const;
export type Offence = (typeof OFFENCES)[number];

/** Connects an offender to that host, again and again. Returns the user id that it goes by. */
export function addOffender(network: SwarmNetwork, victim: Host, offence: Offence, number: number): string {
  const userId = `${offence} ${number}`;
  const host = network.add({ userId, connectTo: [] });
  meet(network, host, victim, offence);
  return userId;
}

function meet(network: SwarmNetwork, host: Host, victim: Host, offence: Offence): void {
  const near = new SimulatedLink(host);
  const far = new SimulatedLink(victim);
  near.join(far);
  far.join(near);
  host.links.add(near);
  victim.links.add(far);
  const ignore = (): void => undefined;
  let sentBlocks = 0;
  let isInBlock = false;
  const give = (pieceIndex: number, offsetBytes: number, lengthBytes: number): void => {
    const frame = new Uint8Array(PIECE_HEADER_BYTES + lengthBytes);
    const at = writePieceHeader(frame, 0, pieceIndex, offsetBytes, lengthBytes);
    frame[at] = offence === "corrupts" && ++sentBlocks % 100 === 0 ? CORRUPT_BLOCK : GOOD_BLOCK;
    near.sendBlocks(frame, ignore);
  };
  near.listener = {
    choke: ignore,
    unchoke: ignore,
    interested: () => near.unchoke(),
    notInterested: ignore,
    have: ignore,
    suggest: ignore,
    bitfield: ignore,
    haveAll: ignore,
    haveNone: ignore,
    request: (pieceIndex, offsetBytes, lengthBytes) => {
      if (offence === "pretends") near.reject(pieceIndex, offsetBytes, lengthBytes);
      if (offence === "corrupts" || offence === "vanishes") give(pieceIndex, offsetBytes, lengthBytes);
      if (offence === "drips" && !isInBlock) {
        isInBlock = true;
        far.listen(() => far.listener?.blockBegins(pieceIndex, offsetBytes, BLOCK_LENGTH_BYTES));
      }
    },
    cancel: ignore,
    reject: ignore,
    extended: ignore,
    blockBegins: () => undefined,
    blockEnds: ignore,
    writable: ignore,
    closed: () => network.clock.schedule(RECONNECT_MS, () => meet(network, host, victim, offence)),
  } satisfies PeerListener;
  network.clock.schedule(network.latencyMs, () => {
    const { userId } = host;
    const identity = { userId, deviceId: `device of ${userId}`, address: userId };
    far.listener = victim.torrent.connect(far, identity, true);
    near.haveAll();
    if (offence === "vanishes") network.clock.schedule(1000, () => host.freeze());
  });
}
