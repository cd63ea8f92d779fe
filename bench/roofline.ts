// What the work costs on this machine with nothing around it: TLS from process to process, SHA-1, reading and writing a
// tmpfs. From that the bound that no design beats here: the whole work divided by the cores, or the slowest part that
// cannot be divided. Both hashes are counted, each piece's and the whole file's: a copy is complete with both.
import { fork } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { type Conditions, median, seconds } from "./report.ts";

const GIB = 1024 ** 3;
/** Half of a core's own cache: bytes are hashed and copied while they are warm, as in the best of designs. */
const STEP_BYTES = 256 * 1024;

/** Processor seconds a GiB. */
export interface Parts {
  readonly tlsSend: number;
  readonly tlsReceive: number;
  readonly sha1: number;
  readonly read: number;
  readonly write: number;
}

export interface Roofline {
  readonly parts: Parts;
  readonly cores: number;
  /** Of everything that a seeder and a leecher must do for 1 GiB. */
  readonly totalCpuSeconds: number;
  /** Of the slowest thread that cannot be divided. */
  readonly slowestSeconds: number;
  readonly slowestPart: string;
  /** No copy of 1 GiB takes less. */
  readonly boundSeconds: number;
}

const cpuSchema = z.object({ cpuSeconds: z.number() });

export async function measureRoofline({ folder, runs, isQuick, say }: Conditions): Promise<Roofline> {
  const lengthBytes = isQuick ? GIB / 4 : GIB;
  const perGib = GIB / lengthBytes;
  const samples: Parts[] = [];
  for (let run = 0; run < runs; run++) {
    const tls = await tlsCpuSeconds(lengthBytes);
    const path = join(folder, `minitorrent-roofline-${process.pid}`);
    try {
      samples.push({
        tlsSend: tls.send * perGib,
        tlsReceive: tls.receive * perGib,
        sha1: cpuSeconds(() => hash(lengthBytes)) * perGib,
        write: cpuSeconds(() => write(path, lengthBytes)) * perGib,
        read: cpuSeconds(() => read(path, lengthBytes)) * perGib,
      });
    } finally {
      rmSync(path, { force: true });
    }
  }
  const of = (part: keyof Parts): number => median(samples.map((sample) => sample[part]));
  const parts = {
    ...{ tlsSend: of("tlsSend"), tlsReceive: of("tlsReceive"), sha1: of("sha1") },
    ...{ read: of("read"), write: of("write") },
  };
  const roofline = boundOf(parts, availableParallelism());
  for (const line of linesOf(roofline)) say(line);
  return roofline;
}

/** The bound for 1 GiB from one process to another. */
function boundOf(parts: Parts, cores: number): Roofline {
  const { tlsSend, tlsReceive, sha1, read, write } = parts;
  const totalCpuSeconds = read + tlsSend + tlsReceive + 2 * sha1 + write;
  // A TLS connection is one thread's at each end; the whole file's SHA-1 is one chain. Pieces are hashed and written
  // by as many threads as one likes.
  const serial = { "TLS, sender": tlsSend, "TLS, receiver": tlsReceive, "the whole file's SHA-1": sha1 };
  const slowestSeconds = Math.max(...Object.values(serial));
  const [slowestPart = ""] = Object.entries(serial).find(([, cost]) => cost === slowestSeconds) ?? [];
  return {
    ...{ parts, cores, totalCpuSeconds, slowestSeconds, slowestPart },
    boundSeconds: Math.max(totalCpuSeconds / cores, slowestSeconds),
  };
}

function linesOf({ parts, cores, totalCpuSeconds, ...bound }: Roofline): string[] {
  const { tlsSend, tlsReceive, sha1, read, write } = parts;
  const costs = [
    `read ${seconds(read)}, TLS ${seconds(tlsSend)} sender + ${seconds(tlsReceive)} receiver`,
    `SHA-1 2 × ${seconds(sha1)}, write ${seconds(write)}`,
  ].join(", ");
  const sum = `${seconds(totalCpuSeconds)} of processor ÷ ${cores} cores = ${seconds(totalCpuSeconds / cores)}`;
  return [
    `Roofline for 1 GiB: ${costs}`,
    `  ${sum}; slowest part ${bound.slowestPart} ${seconds(bound.slowestSeconds)}; bound ${seconds(bound.boundSeconds)}`,
  ];
}

/** One process sends, another receives, each a whole one, over loopback. */
async function tlsCpuSeconds(lengthBytes: number): Promise<{ send: number; receive: number }> {
  const script = join(import.meta.dirname, "tls-pump.ts");
  const sender = fork(script, ["send", String(lengthBytes)]);
  try {
    const [port]: unknown[] = await once(sender, "message");
    const receiver = fork(script, ["receive", String(lengthBytes), String(port)]);
    try {
      const [[sent], [received]] = await Promise.all([once(sender, "message"), once(receiver, "message")]);
      return { send: cpuSchema.parse(sent).cpuSeconds, receive: cpuSchema.parse(received).cpuSeconds };
    } finally {
      receiver.kill();
    }
  } finally {
    sender.kill();
  }
}

function cpuSeconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

function hash(lengthBytes: number): void {
  const step = Buffer.alloc(STEP_BYTES, 1);
  const sha1 = createHash("sha1");
  for (let done = 0; done < lengthBytes; done += STEP_BYTES) sha1.update(step);
  sha1.digest();
}

function write(path: string, lengthBytes: number): void {
  const step = Buffer.alloc(STEP_BYTES, 1);
  const file = openSync(path, "w");
  for (let done = 0; done < lengthBytes; done += STEP_BYTES) writeSync(file, step);
  closeSync(file);
}

function read(path: string, lengthBytes: number): void {
  const step = Buffer.alloc(STEP_BYTES);
  const file = openSync(path, "r");
  for (let done = 0; done < lengthBytes; done += STEP_BYTES) readSync(file, step);
  closeSync(file);
}
