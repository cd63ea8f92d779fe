// Row h: one seeder, one leecher, and between them a wire of 1 Gbit/s with a round trip of 100 ms, against one plain TCP
// stream over the same wire. The wire is a process (relay.ts). The clients listen at addresses of their own, and reach the
// tracker through another relay: the tracker names both at 127.0.0.1, where its connections come from. There, at the
// seeder's port, is the wire; at the leecher's is nobody.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { z } from "zod";
import { ClientProcess } from "../../harness/processes.ts";
import { Scene } from "../../harness/scene.ts";
import { parseAddress } from "../../src/api/addresses.ts";
import { cpuSecondsDuring } from "../process-cost.ts";
import {
  atLeast,
  type Conditions,
  median,
  megabytesPerSecond,
  type Row,
  type RowResult,
  seconds,
  spread,
} from "../report.ts";
import { GROUP, measureTransfer } from "../transfer.ts";

const MIB = 1024 ** 2;
interface WireKind {
  readonly roundTripMs: number;
  readonly megabits: number;
}
const LONG: WireKind = { roundTripMs: 100, megabits: 1000 };
const SHORT: WireKind = { roundTripMs: 0, megabits: 10_000 };
const OF_TCP = 0.8;
const MOST_RUNS = 3;
const FAR_HOST = "127.0.0.2";
const PINGS = 5;
const WRITE_BYTES = 256 * 1024;

export const longWire: Row = {
  name: "h",
  work: "a wire of 1 Gbit/s with a round trip of 100 ms",
  async run({ folder, runs, isQuick, say }: Conditions): Promise<RowResult> {
    const lengthBytes = (isQuick ? 128 : 512) * MIB;
    await using scene = await Scene.open(1, folder);
    await using toTracker = await Wire.open(0, scene.trackerAddresses[0] ?? "", SHORT);
    const trackerInfo = scene.path("relayed_tracker_info.txt");
    writeFileSync(trackerInfo, `127.0.0.1:${toTracker.port}\n`);
    const clientAt = (host: string, name: string) => {
      const client = ClientProcess.start([`${host}:0`, trackerInfo, "--data-dir", scene.path(name)]);
      scene.clients.push(client);
      return client;
    };
    const [seeder, leecher] = [clientAt(FAR_HOST, "seeder"), clientAt("127.0.0.3", "leecher")];
    for (const [name, client] of Object.entries({ alice: seeder, bob: leecher })) {
      await client.must(`create_user ${name} secret`);
      await client.must(`login ${name} secret`);
    }
    await scene.group(GROUP, seeder, { bob: leecher });
    const { path, sha1 } = scene.file("alice", "file.bin", lengthBytes);
    await seeder.must(`upload_file ${path} ${GROUP}`);
    const { listeningOn } = z.object({ listeningOn: z.string() }).parse(await seeder.must("whoami"));
    const { port } = parseAddress(listeningOn);
    await using wire = await Wire.open(port, listeningOn, LONG);

    const ours: number[] = [];
    const streams: number[] = [];
    let roundTripMs = 0;
    let wireCpu = 0;
    for (let run = 0; run < Math.min(runs, MOST_RUNS); run++) {
      const stream = await measureStream(lengthBytes);
      streams.push(stream.seconds);
      roundTripMs = stream.roundTripMs;
      const [cpu = 0] = await cpuSecondsDuring([wire.pid], async () => {
        const file = { name: "file.bin", sha1 };
        const taken = await measureTransfer(scene, file, [leecher], []);
        ours.push(taken.seconds);
      });
      if (cpu === 0) throw new Error("nothing went over the wire");
      wireCpu = cpu;
      say(`h: run ${run + 1}: ${seconds(ours.at(-1) ?? 0)}, one TCP stream ${seconds(stream.seconds)}`);
    }
    await Promise.all([seeder.finish(), leecher.finish()]);
    const [ourSeconds, streamSeconds] = [median(ours), median(streams)];
    return {
      marks: [atLeast(OF_TCP, "×", "a single TCP stream", streamSeconds / ourSeconds)],
      figures: { lengthBytes, ourSeconds, streamSeconds, roundTripMs, ourRuns: ours, streamRuns: streams },
      lines: [
        `ours ${spread(ours)}, ${megabytesPerSecond(lengthBytes, ourSeconds)}; one TCP stream ${spread(streams)}, ${megabytesPerSecond(lengthBytes, streamSeconds)}`,
        `the wire itself: round trip ${roundTripMs.toFixed(0)} ms, ${seconds(wireCpu)} of processor in a download`,
      ],
    };
  },
};

/** The relay, as a process of its own. */
class Wire implements AsyncDisposable {
  readonly #relay: ChildProcess;
  readonly port: number;

  private constructor(relay: ChildProcess, port: number) {
    this.#relay = relay;
    this.port = port;
  }

  /** @param listenPort 0: any free one */
  static async open(listenPort: number, target: string, { roundTripMs, megabits }: WireKind): Promise<Wire> {
    const script = join(import.meta.dirname, "..", "relay.ts");
    const { host, port: targetPort } = parseAddress(target);
    const relay = fork(script, [listenPort, host, targetPort, roundTripMs, megabits].map(String));
    const [port]: unknown[] = await once(relay, "message");
    return new Wire(relay, Number(port));
  }

  get pid(): number {
    return this.#relay.pid ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#relay.kill();
    await once(this.#relay, "exit");
  }
}

/** A file's length over one TCP connection through the wire, both ends here; and what a byte takes there and back. */
async function measureStream(lengthBytes: number): Promise<{ seconds: number; roundTripMs: number }> {
  const sender = createServer({ noDelay: true });
  sender.listen(0, FAR_HOST);
  await once(sender, "listening");
  const address = sender.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  await using wire = await Wire.open(0, `${FAR_HOST}:${address.port}`, LONG);
  const startedMs = performance.now();
  const near = connect({ host: "127.0.0.1", port: wire.port, noDelay: true });
  const [far] = await Promise.all([accepted(sender), once(near, "connect")]);
  void send(far, lengthBytes);
  await received(near, lengthBytes);
  const seconds = (performance.now() - startedMs) / 1000;
  far.on("data", (bytes) => far.write(bytes));
  const pings: number[] = [];
  for (let ping = 0; ping < PINGS; ping++) {
    const sentMs = performance.now();
    near.write("?");
    await received(near, 1);
    pings.push(performance.now() - sentMs);
  }
  near.destroy();
  far.destroy();
  sender.close();
  return { seconds, roundTripMs: median(pings) };
}

async function accepted(server: ReturnType<typeof createServer>): Promise<Socket> {
  return new Promise((resolve) => server.once("connection", resolve));
}

async function send(socket: Socket, lengthBytes: number): Promise<void> {
  const chunk = Buffer.alloc(WRITE_BYTES, 1);
  for (let done = 0; done < lengthBytes; done += WRITE_BYTES) {
    await new Promise<void>((resolve) => socket.write(chunk, () => resolve()));
  }
}

function received(socket: Socket, lengthBytes: number): Promise<void> {
  let leftBytes = lengthBytes;
  return new Promise((resolve) => {
    const take = (bytes: Buffer): void => {
      leftBytes -= bytes.length;
      if (leftBytes > 0) return;
      socket.off("data", take);
      resolve();
    };
    socket.on("data", take);
  });
}
