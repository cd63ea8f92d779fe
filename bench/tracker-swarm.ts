// What one swarm of 100, 1,000 and 10,000 members online costs their tracker: work, events and bytes for each who comes,
// asks for peers, and goes. Presence, peer exchange and connections as in a tracker, without sockets, TLS and registry.
//
//   node bench/tracker-swarm.ts
import { setTimeout as sleep } from "node:timers/promises";
import { Connection, Connections } from "../src/tracker/presence/client-connections.ts";
import { PeerDirectory } from "../src/tracker/presence/peer-directory.ts";
import { Presence } from "../src/tracker/presence/presence.ts";
import { eventText } from "../src/tracker/server/event-text.ts";
import { type Mark, printMarks } from "./tracker-stage.ts";

const SWARMS = [100, 1_000, 10_000];
/** Of the members one in ten has all of the torrent. */
const SEED_EVERY = 10;
/** Each comes, asks, goes: of a swarm as large as it gets. */
const MEASURED = 1_000;
/** Later than PeerExchange tells seeds of who is new. */
const ALL_TOLD_MS = 700;
const INFO_HASH = "f".repeat(40);

const marks: Mark[] = [];
for (const size of SWARMS) marks.push(...(await measure(size)));
printMarks("one swarm at one tracker, one member in ten a seeder", marks);

async function measure(size: number): Promise<Mark[]> {
  const connections = new Connections();
  let events = 0;
  let bytes = 0;
  const setTimer = (delayMs: number, callback: () => void) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  };
  const presence: Presence = new Presence({
    publish: () => {},
    groupOf: () => "group",
    isMember: () => true,
    onPeerOnline: (infoHash, peer, isNew) => exchange.peerOnline(infoHash, peer, isNew),
    onPeerOffline: (infoHash, deviceId) => exchange.peerOffline(infoHash, deviceId),
    setTimer,
  });
  const members = {
    groupOf: () => "group",
    member: (_group: string, accountId: string) => ({
      ...{ accountId, userId: accountId, sinceMs: 0, membershipId: accountId },
    }),
  };
  const exchange = new PeerDirectory(members, presence, connections, setTimer);
  const come = async (at: number): Promise<Connection> => {
    const deviceId = at.toString(16).padStart(64, "0");
    const facts = { id: `connection ${at}`, host: "10.0.0.1", deviceId, publicKeySpki: new Uint8Array() };
    const connection = new Connection(facts);
    connection.listen((told) => {
      events += told.length;
      for (const event of told) bytes += eventText(event).length;
    });
    const account = { userId: `user${at}`, accountId: `account ${at}` };
    connections.add(connection);
    connections.logIn(connection, account);
    presence.arrive(connection.id, account.accountId, deviceId, connection.host);
    await presence.announce(connection.id, 7000, [{ infoHash: INFO_HASH, isSeed: at % SEED_EVERY === 0 }]);
    return connection;
  };
  const spent = async (work: () => Promise<unknown>) => {
    await sleep(ALL_TOLD_MS);
    [events, bytes] = [0, 0];
    const before = process.cpuUsage();
    await work();
    await sleep(ALL_TOLD_MS);
    const { user, system } = process.cpuUsage(before);
    return { cpuMs: (user + system) / 1000, events, bytes };
  };

  const all = await spent(async () => {
    for (let at = 0; at < size; at++) await come(at);
  });
  const arrived: Connection[] = [];
  const coming = await spent(async () => {
    for (let at = size; at < size + MEASURED; at++) arrived.push(await come(at));
  });
  let answerBytes = 0;
  const asking = await spent(async () => {
    for (const connection of arrived) {
      answerBytes += JSON.stringify(exchange.peersFor(connection, INFO_HASH)).length;
    }
  });
  const going = await spent(async () => {
    for (const connection of arrived) {
      presence.depart(connection.id);
      connections.remove(connection);
    }
  });
  presence.close();
  exchange.close();
  const each = ({ cpuMs, events, bytes }: { cpuMs: number; events: number; bytes: number }) =>
    `${((cpuMs / MEASURED) * 1000).toFixed(0)} µs, ${(events / MEASURED).toFixed(0)} events, ${(bytes / MEASURED / 1000).toFixed(1)} KB`;
  return [
    {
      what: `${size} come`,
      aim: "",
      measured: `${(all.cpuMs / 1000).toFixed(2)} s of CPU, ${all.events} events, ${(all.bytes / 1e6).toFixed(1)} MB`,
    },
    { what: "  each who comes then", aim: "<= 50 events", measured: each(coming) },
    {
      what: "  each who asks for peers",
      aim: "<= 100 peers",
      measured: `${((asking.cpuMs / MEASURED) * 1000).toFixed(0)} µs, ${(answerBytes / MEASURED / 1000).toFixed(1)} KB`,
    },
    { what: "  each who goes", aim: "", measured: each(going) },
  ];
}
