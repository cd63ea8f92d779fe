// A swarm of hosts with limited links, each a network namespace: a tracker without limits, a seeder, leechers. Says what
// the fluid bound of such a swarm is: how long the last leecher needs at least, however the bytes are led.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Network } from "../harness/network.ts";
import { ClientProcess, TrackerProcess } from "../harness/processes.ts";
import { writeRandomFile } from "../harness/scene.ts";
import { GROUP } from "./transfer.ts";

/** What TCP carries of 1,514 bytes on an Ethernet with time stamps (RFC 7323): the links count all of them. */
const PAYLOAD_PART = 1448 / 1514;
const BITS_PER_BYTE = 8;
export const FILE_NAME = "file.bin";

/** Of one host, in Mbit/s. */
export interface Link {
  readonly send: number;
  readonly receive: number;
}

export interface Host {
  readonly address: string;
  readonly prefix: readonly string[];
}

/**
 * Kumar and Ross, "Peer-assisted file distribution: the minimum distribution time" (2006): the seeder must send every
 * byte once, the slowest leecher must receive every byte, and together they must send everything that all receive.
 *
 * @param guests who send, and need no copy
 */
export function fluidBoundSeconds(
  lengthBytes: number,
  seeder: Link,
  leechers: readonly Link[],
  guests: readonly Link[] = [],
): number {
  const sum = [seeder, ...leechers, ...guests].reduce((total, { send }) => total + send, 0);
  return Math.max(
    secondsFor(lengthBytes, seeder.send),
    secondsFor(lengthBytes, Math.min(...leechers.map(({ receive }) => receive))),
    secondsFor(lengthBytes * leechers.length, sum),
  );
}

/** How long a link needs for that many bytes of payload. */
function secondsFor(lengthBytes: number, megabits: number): number {
  return (lengthBytes * BITS_PER_BYTE) / (megabits * 1e6 * PAYLOAD_PART);
}

export class ShapedSwarm implements AsyncDisposable {
  readonly folder: string;
  /** The seeder's, then the leechers'. */
  readonly hosts: readonly Host[];
  readonly #network: Network;
  readonly #processes: (TrackerProcess | ClientProcess)[] = [];
  #sha1 = "";

  private constructor(folder: string, network: Network, hosts: readonly Host[]) {
    this.folder = folder;
    this.#network = network;
    this.hosts = hosts;
  }

  /** @param parent where the temporary folder is made: a tmpfs */
  static async open(parent: string, seeder: Link, leechers: readonly Link[]): Promise<ShapedSwarm> {
    const network = new Network(`bn${process.pid % 100_000}`);
    const folder = mkdtempSync(join(parent, "minitorrent-swarm-"));
    const hosts = [seeder, ...leechers].map(({ send, receive }, index) => {
      const host = network.host();
      network.limit(index + 1, send, receive);
      return host;
    });
    const swarm = new ShapedSwarm(folder, network, hosts);
    try {
      await swarm.#startTracker();
    } catch (error) {
      await swarm[Symbol.asyncDispose]();
      throw error;
    }
    return swarm;
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  /** The file's, once it is made. */
  get sha1(): string {
    return this.#sha1;
  }

  /** Makes the file in a folder of its own. Returns its path. */
  makeFile(lengthBytes: number): string {
    mkdirSync(this.path("source"));
    const path = this.path("source", FILE_NAME);
    this.#sha1 = writeRandomFile(path, lengthBytes);
    return path;
  }

  /** A client on each host, all of them in one group. */
  async startClients(): Promise<ClientProcess[]> {
    const clients = this.hosts.map(({ address, prefix }, index) => {
      const dataDir = this.path(`client-${index}`);
      const client = ClientProcess.start([`${address}:9001`, this.#trackerInfo, "--data-dir", dataDir], {
        prefix,
      });
      this.#processes.push(client);
      return client;
    });
    const [owner, ...members] = clients;
    if (owner === undefined) throw new Error("no hosts");
    for (const [index, client] of clients.entries()) {
      await client.must(`create_user user${index} secret`);
      await client.must(`login user${index} secret`);
    }
    await owner.must(`create_group ${GROUP}`);
    for (const [index, member] of members.entries()) {
      await member.must(`join_group ${GROUP}`);
      await owner.must(`accept_request ${GROUP} user${index + 1}`);
    }
    return clients;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.kill()));
    this.#network[Symbol.dispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }

  get #trackerInfo(): string {
    return this.path("tracker_info.txt");
  }

  async #startTracker(): Promise<void> {
    const { address, prefix } = this.#network.host();
    writeFileSync(this.#trackerInfo, `${address}:9000\n`);
    const dataDir = this.path("tracker");
    this.#processes.push(await TrackerProcess.start(this.#trackerInfo, 1, dataDir, { prefix }));
  }
}
