// A connection that breaks off, or is damaged, after so many bytes have been said over it: for handshakes that never end as
// they should.
import type { Socket } from "node:net";
import { Duplex } from "node:stream";

export interface Damage {
  readonly afterBytes: number;
  /** Ends there, is reset there, says one byte wrong, or says everything from there on twice. */
  readonly how: "end" | "reset" | "flip" | "repeat";
}

/** What is written to it goes to `wire`, damaged; what `wire` says comes out of it as it is. */
export function damagedWire(wire: Socket, { afterBytes, how }: Damage): Duplex {
  let saidBytes = 0;
  const damaged = (chunk: Buffer): Buffer => {
    const at = afterBytes - saidBytes;
    saidBytes += chunk.length;
    if (at >= chunk.length) return chunk;
    const from = Math.max(at, 0);
    if (how === "repeat") return Buffer.concat([chunk, chunk.subarray(from)]);
    const copy = Buffer.from(chunk);
    if (at >= 0) copy[from] = (copy[from] ?? 0) ^ 0x55;
    return copy;
  };
  const duplex = new Duplex({
    read: () => wire.resume(),
    write: (chunk: Buffer, _encoding, done) => {
      const isOver = saidBytes + chunk.length > afterBytes && (how === "end" || how === "reset");
      const bytes = isOver ? chunk.subarray(0, Math.max(afterBytes - saidBytes, 0)) : damaged(chunk);
      wire.write(bytes, () => {
        if (isOver && how === "end") wire.end();
        else if (isOver) wire.resetAndDestroy();
        done();
      });
    },
    final: (done) => {
      wire.end(() => done());
    },
    destroy: (error, done) => {
      wire.destroy();
      done(error);
    },
  });
  wire.on("data", (chunk: Buffer) => {
    if (!duplex.push(chunk)) wire.pause();
  });
  wire.on("end", () => duplex.push(null));
  wire.on("close", () => duplex.destroy());
  return duplex;
}
