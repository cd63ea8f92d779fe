// One process full of clients for tracker-clients.ts: bare connections that do all that a client does with its tracker.
// Before it counts as there (login.ts): session by its key, events, announcement. Then what it catches up with: its groups,
// what was revoked in those it holds certificates for, who has what it downloads. It asks whether the tracker is there, and
// goes to the next one when it is not. Certificates that are held stay in use at a failover: none is asked for then.

import { connect as connectTls, type TLSSocket } from "node:tls";
import { z } from "zod";
import { ApiClient } from "../harness/api-client.ts";
import { packTorrents } from "../src/api/packed-torrents.ts";
import { findTracker } from "../src/client/trackers/tracker-search.ts";
import { createDeviceIdentity, type DeviceIdentity } from "../src/identity/certificates.ts";

/** A client dials when it is started; thousands at the same moment happen only in a failover. */
const STARTS_AT_A_TIME = 20;
/** Clients come from many networks; the tracker lets only so many of one wait. All of 127.0.0.0/8 is this machine's. */
const CLIENTS_PER_ADDRESS = 40;
export const TORRENTS_PER_CLIENT = 3;
export const CLIENTS_PER_GROUP = 10;

const orderSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("prepare"), first: z.number(), count: z.number() }),
  z.object({ type: z.literal("connect"), ports: z.array(z.number()) }),
  z.object({ type: z.literal("connect-bare"), port: z.number() }),
  z.object({ type: z.literal("end-bare") }),
]);

const ownGroupsSchema = z.object({ items: z.array(z.object({ groupId: z.string() })) });

interface Member {
  readonly number: number;
  readonly identity: DeviceIdentity;
}

/** The benchmark ends with its process. */
const never = new AbortController();
const members: Member[] = [];
const bare: TLSSocket[] = [];
let isStormWatched = false;
let online = 0;
/** Since all were connected for the first time. */
let attemptsInVain = 0;

function report(message: object): void {
  process.send?.(message);
}

/** The torrents of a client's group; the benchmark writes the same to the registry. */
export function torrentsOf(memberNumber: number): { infoHash: string; isSeed: boolean }[] {
  const group = Math.floor(memberNumber / CLIENTS_PER_GROUP);
  return Array.from({ length: TORRENTS_PER_CLIENT }, (_, index) => ({
    infoHash: (group * TORRENTS_PER_CLIENT + index).toString(16).padStart(40, "0"),
    // One of them is being downloaded.
    isSeed: index > 0,
  }));
}

/** As tracker-link.ts does. */
async function stayConnected(member: Member, ports: readonly number[], firstTime: () => void): Promise<void> {
  let first = 0;
  let isFirst = true;
  for (;;) {
    const found = await findTracker<ApiClient>({
      count: ports.length,
      first: first % ports.length,
      open: (index, signal) => connect(member, ports[index] ?? 0, signal),
      prepare: (client) => prepare(client, member),
      close: (client) => client.terminate(),
      onFailure: () => {
        if (isStormWatched) attemptsInVain++;
      },
      onNobody: () => {},
      signal: never.signal,
    });
    if (found === undefined) return;
    online++;
    if (isFirst) firstTime();
    else if (isStormWatched) report({ type: "back", online, attemptsInVain });
    isFirst = false;
    await found.socket.closed;
    online--;
    first = found.index + 1;
  }
}

async function connect({ number, identity }: Member, port: number, signal: AbortSignal): Promise<ApiClient> {
  const localAddress = addressOf(number);
  return await ApiClient.connect({ host: "127.0.0.1", port, identity, localAddress, signal });
}

async function prepare(client: ApiClient, { number }: Member): Promise<void> {
  try {
    client.keepAlive();
    await client.listen();
    await client.mutate("session.resume");
    const torrents = torrentsOf(number);
    await client.mutate("presence.announce", { listenPort: 1024 + number, ...packTorrents(torrents) });
    const { items } = ownGroupsSchema.parse(await client.query("groups.mine", {}));
    if (items.length === 0) throw new Error("a client is in no group");
    await client.query("groups.revocations", { groupIds: items.map(({ groupId }) => groupId) });
    for (const { infoHash, isSeed } of torrents) {
      if (!isSeed) await client.query("presence.peers", { infoHash });
    }
  } catch (error) {
    client.terminate();
    throw error;
  }
}

function addressOf(memberNumber: number): string {
  const address = Math.floor(memberNumber / CLIENTS_PER_ADDRESS);
  return `127.0.${1 + Math.floor(address / 250)}.${1 + (address % 250)}`;
}

/** Some at a time, until all have started. */
async function startAll(start: (member: Member) => Promise<void>): Promise<void> {
  const waiting = [...members];
  const starter = async () => {
    for (let member = waiting.shift(); member !== undefined; member = waiting.shift()) await start(member);
  };
  await Promise.all(Array.from({ length: STARTS_AT_A_TIME }, starter));
}

async function obey(order: z.infer<typeof orderSchema>): Promise<void> {
  switch (order.type) {
    case "prepare":
      for (let index = 0; index < order.count; index++) {
        members.push({ number: order.first + index, identity: createDeviceIdentity() });
      }
      report({ type: "prepared", deviceIds: members.map(({ identity }) => identity.deviceId) });
      return;
    case "connect-bare":
      await startAll(
        ({ identity }) =>
          new Promise((resolve, reject) => {
            const socket = connectTls({
              ...{ host: "127.0.0.1", port: order.port, minVersion: "TLSv1.3", rejectUnauthorized: false },
              ...{ key: identity.privateKeyPem, cert: identity.certificatePem },
            });
            socket.on("error", reject);
            // The server writes a byte once it has the certificate: only then is its side done.
            socket.once("data", () => resolve());
            bare.push(socket);
          }),
      );
      report({ type: "connected" });
      return;
    case "end-bare":
      for (const socket of bare.splice(0)) socket.destroy();
      return;
    case "connect":
      await startAll((member) => new Promise((resolve) => void stayConnected(member, order.ports, resolve)));
      isStormWatched = true;
      report({ type: "connected" });
  }
}

if (process.send !== undefined) {
  process.on("message", (message) => {
    obey(orderSchema.parse(message)).catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
  });
}
