// Strangers and hostile account holders who do everything that they can think of against trackers at once, as a process of
// their own, within a number of connections and of bytes a second. It is forked by siege.test.ts, which judges the trackers.
import { execFileSync } from "node:child_process";
import { randomBytes, randomInt, randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { z } from "zod";
import { ApiClient, Refusal } from "../../harness/api-client.ts";
import { type Address, parseAddress } from "../../src/api/addresses.ts";
import { groupCertificateSchema } from "../../src/api/schemas.ts";
import { createCertificateRequest } from "../../src/identity/certificate-requests.ts";
import { createDeviceIdentity, type DeviceIdentity } from "../../src/identity/certificates.ts";
import { encodeMetainfo } from "../../src/metainfo/metainfo.ts";

export const strangersTaskSchema = z.object({
  trackers: z.array(z.string()),
  connectionCount: z.number(),
  accountCount: z.number(),
  bytesPerSecond: z.number(),
});

/** How often each deed was begun, and how it ended: to see that none of them is idle. */
export const strangersReportSchema = z.object({
  deeds: z.record(z.string(), z.number()),
  endings: z.record(z.string(), z.number()),
  bytesSent: z.number(),
});
export type StrangersReport = z.infer<typeof strangersReportSchema>;

/** A stranger that was turned away comes again after so long. */
const AGAIN_MS = 50;
/** How long a connection is held in the hope that it costs the tracker something. */
const HOLD_MS = 10_000;
const NETWORKS = 16;
const CURVES = ["brainpoolP256r1", "secp256k1", "secp521r1", "brainpoolP512t1"];
const MAX_METAINFO_PIECES = 9_000;

const deeds: Record<string, number> = {};
const endings: Record<string, number> = {};
let bytesSent = 0;
let bytesAllowed = 0;
let isOver = false;
let addresses: readonly Address[] = [];
let oddKeys: readonly { key: string; cert: string }[] = [];
const accounts: Account[] = [];

interface Account {
  readonly userId: string;
  readonly identity: DeviceIdentity;
  readonly groupId: string;
  authorityPem: string;
}

function anyOf<T>(things: readonly T[]): T {
  const thing = things[randomInt(things.length)];
  if (thing === undefined) throw new Error("nothing to choose from");
  return thing;
}

const someNetwork = (): string => `127.66.${randomInt(NETWORKS)}.1`;

/** Waits until so many bytes may be sent: all strangers share one allowance. */
async function allow(bytes: number): Promise<void> {
  while (bytesAllowed < bytes && !isOver) await sleep(20);
  bytesAllowed -= bytes;
  bytesSent += bytes;
}

function count(table: Record<string, number>, what: string): void {
  table[what] = (table[what] ?? 0) + 1;
}

/** A connection and its end: what is thrown or closed on it is what a stranger expects. */
async function hold(socket: Socket, forMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await Promise.race([closed, sleep(forMs)]);
  socket.destroy();
}

function dialPlain(): Socket {
  const socket = connectTcp({ ...anyOf(addresses), localAddress: someNetwork() });
  socket.on("error", () => undefined);
  return socket;
}

async function dialTls(options: { key?: string; cert?: string }): Promise<TLSSocket> {
  const socket = connectTls({ socket: dialPlain(), rejectUnauthorized: false, ...options });
  socket.on("error", () => undefined);
  socket.resume();
  await new Promise<void>((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("close", () => reject(new Error("turned away")));
  });
  return socket;
}

function upgrade(path: string, more = ""): string {
  const key = randomBytes(16).toString("base64");
  return (
    `GET ${path} HTTP/1.1\r\nHost: tracker\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n${more}\r\n`
  );
}

/** A client's frame (RFC 6455, 5.2), masked with zeros. */
function frame(opcode: number, payload: Buffer, promisedBytes = payload.length, isLast = true): Buffer {
  const head = Buffer.alloc(14);
  head[0] = (isLast ? 0x80 : 0) | opcode;
  head[1] = 0x80 | 127;
  head.writeBigUInt64BE(BigInt(promisedBytes), 2);
  return Buffer.concat([head, payload]);
}

const guest = async (): Promise<ApiClient> =>
  ApiClient.connect({
    ...anyOf(addresses),
    identity: await createDeviceIdentity(),
    localAddress: someNetwork(),
  });

async function loggedIn(account: Account): Promise<ApiClient> {
  const { identity } = account;
  return ApiClient.connect({ ...anyOf(addresses), identity, localAddress: someNetwork() });
}

/** What one of them does, once. It may throw: then the tracker has refused or closed. */
const DEEDS: Record<string, () => Promise<void>> = {
  "half a TLS handshake": async () => {
    const socket = dialPlain();
    socket.write(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252]));
    await hold(socket, HOLD_MS);
  },
  "garbage instead of TLS": async () => {
    const socket = dialPlain();
    await allow(4_096);
    socket.write(randomBytes(4_096));
    await hold(socket, 1_000);
  },
  "a key of an odd kind": async () => {
    const socket = await dialTls(anyOf(oddKeys));
    socket.write(upgrade(anyOf(["/api", "/sync"])));
    await hold(socket, 1_000);
  },
  "a new key at /sync": async () => {
    const { privateKeyPem: key, certificatePem: cert } = await createDeviceIdentity();
    const socket = await dialTls({ key, cert });
    socket.write(upgrade("/sync"));
    await hold(socket, 1_000);
  },
  "a refused upgrade with bytes behind it": async () => {
    const socket = await dialTls({});
    await allow(64 * 1024);
    socket.write(upgrade(anyOf(["/api", "/sync", "/nowhere"])));
    socket.write(randomBytes(64 * 1024));
    await hold(socket, HOLD_MS);
  },
  "an unfinished message before login": async () => {
    const { privateKeyPem: key, certificatePem: cert } = await createDeviceIdentity();
    const socket = await dialTls({ key, cert });
    socket.write(upgrade("/api"));
    const bytes = 200_000;
    await allow(bytes);
    socket.write(frame(1, Buffer.alloc(bytes, 32), 1_900_000));
    await hold(socket, HOLD_MS);
  },
  "frames of every wrong kind": async () => {
    const { privateKeyPem: key, certificatePem: cert } = await createDeviceIdentity();
    const socket = await dialTls({ key, cert });
    socket.write(upgrade("/api"));
    for (const opcode of [2, 3, 9, 8, 0, 15]) {
      await allow(125);
      socket.write(frame(opcode, randomBytes(randomInt(125)), undefined, randomInt(2) === 0));
    }
    await hold(socket, 1_000);
  },
  "calls that are none": async () => {
    const client = await guest();
    const calls = Array.from({ length: 1_000 }, (_, id) => ({
      ...{ id, method: "query" },
      params: { path: "no.such" },
    }));
    for (const text of ["{", "[]", "null", JSON.stringify(calls), '{"id":1,"method":"subscription.stop"}']) {
      await allow(text.length);
      client.sendRaw(text);
    }
    await Promise.race([client.closed, sleep(500)]);
    client.terminate();
  },
  "an account, and a guess": async () => {
    const client = await guest();
    try {
      if (randomInt(2) === 0) await client.signUp(`siege-${randomBytes(6).toString("hex")}`);
      else {
        const guess = { userId: `member-${randomInt(20)}`, password: randomUUID(), writeId: randomUUID() };
        await client.mutate("session.login", guess);
      }
    } finally {
      client.terminate();
    }
  },
  "gone in the middle of a login": async () => {
    const account = anyOf(accounts);
    const client = await loggedIn(account);
    const { userId } = account;
    const login = client.mutate("session.login", {
      ...{ userId, password: `password of ${userId}`, writeId: randomUUID() },
    });
    login.catch(() => undefined);
    await sleep(randomInt(30));
    client.terminate();
  },
  "answers that are never read": async () => {
    const account = anyOf(accounts);
    const { privateKeyPem: key, certificatePem: cert } = account.identity;
    const socket = await dialTls({ key, cert });
    socket.write(upgrade("/api"));
    socket.pause();
    const call = (id: number) =>
      JSON.stringify({ id, method: "query", params: { path: "files.list", input: account } });
    for (let id = 1; id <= 1_000 && !socket.destroyed && !isOver; id++) {
      const said = frame(1, Buffer.from(call(id)));
      await allow(said.length);
      socket.write(said);
    }
    await hold(socket, HOLD_MS);
  },
  "a hundred thousand torrents that nobody knows": async () => {
    const client = await loggedIn(anyOf(accounts));
    try {
      for (let left = 10; left > 0 && !isOver; left--) {
        const seeding = randomBytes(20 * 10_000).toString("hex");
        await allow(seeding.length);
        await client.mutate("presence.update", { seeding, downloading: "", over: "" });
      }
      await sleep(HOLD_MS);
    } finally {
      client.terminate();
    }
  },
  "as much metainfo as it may, and more": async () => {
    const { groupId, authorityPem, ...account } = anyOf(accounts);
    const client = await loggedIn({ ...account, groupId, authorityPem });
    try {
      for (let left = 20; left > 0 && !isOver; left--) {
        const sha1 = randomBytes(20).toString("hex");
        const { info } = encodeMetainfo({
          fileName: `${randomUUID()}.bin`,
          lengthBytes: MAX_METAINFO_PIECES * 256 * 1024,
          pieceLengthBytes: 256 * 1024,
          pieceHashes: randomBytes(20 * MAX_METAINFO_PIECES),
          ...{ authorityPem, sha1 },
        });
        const text = Buffer.from(info).toString("base64");
        await allow(text.length);
        await client.mutate("files.share", { groupId, info: text, sha1, writeId: randomUUID() });
      }
    } finally {
      client.terminate();
    }
  },
  "certificates for keys of its own": async () => {
    const { groupId, ...account } = anyOf(accounts);
    const client = await loggedIn({ ...account, groupId });
    try {
      for (let left = 20; left > 0 && !isOver; left--) {
        const { requestPem } = await createCertificateRequest();
        await client.query("groups.certificate", { groupId, requestPem });
      }
    } finally {
      client.terminate();
    }
  },
  "the dearest calls, as many as go": async () => {
    const { groupId, ...account } = anyOf(accounts);
    const client = await loggedIn({ ...account, groupId });
    try {
      for (let left = 20; left > 0 && !isOver; left--) {
        const calls = Array.from({ length: 20 }, () => [
          client.query("groups.list", {}),
          client.query("groups.certificate", { groupId }),
          client.query("files.list", { groupId }),
          client.mutate("groups.create", { groupId: `siege-${randomUUID()}`, writeId: randomUUID() }),
        ]).flat();
        const results = await Promise.allSettled(calls);
        const refused = results.find(({ status }) => status === "rejected");
        if (client.isClosed && refused?.status === "rejected") throw refused.reason;
      }
    } finally {
      client.terminate();
    }
  },
};

async function stranger(): Promise<void> {
  await sleep(randomInt(2_000));
  while (!isOver) {
    const [name, deed] = anyOf(Object.entries(DEEDS));
    count(deeds, name);
    try {
      await deed();
    } catch (error) {
      count(endings, `${name}: ${error instanceof Refusal ? error.code : "closed or turned away"}`);
    }
    await sleep(AGAIN_MS);
  }
}

function makeOddKeys(): { key: string; cert: string }[] {
  const folder = mkdtempSync(join(tmpdir(), "siege-keys-"));
  try {
    const kinds = [
      ...CURVES.map((curve) => ["ec", "-pkeyopt", `ec_paramgen_curve:${curve}`]),
      ["rsa:1024"],
      ["rsa:4096"],
      ["ed25519"],
      ["ed448"],
    ];
    return kinds.map((kind, at) => {
      const [key, cert] = [join(folder, `${at}.key`), join(folder, `${at}.pem`)];
      const request = ["req", "-x509", "-nodes", "-subj", "/CN=x", "-newkey", ...kind];
      execFileSync("openssl", [...request, "-keyout", key, "-out", cert], { stdio: "ignore" });
      return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function makeAccount(number: number): Promise<Account> {
  const userId = `stranger-${number}`;
  const groupId = `den-${number}`;
  const identity = await createDeviceIdentity();
  const client = await ApiClient.connect({ ...anyOf(addresses), identity, localAddress: someNetwork() });
  await client.signUp(userId);
  await client.mutate("groups.create", { groupId, writeId: randomUUID() });
  const given = groupCertificateSchema.parse(await client.query("groups.certificate", { groupId }));
  client.terminate();
  return { userId, identity, groupId, authorityPem: given.authorityPem };
}

process.once("message", async (message) => {
  const task = strangersTaskSchema.parse(message);
  addresses = task.trackers.map((tracker) => parseAddress(tracker));
  oddKeys = makeOddKeys();
  for (let number = 0; number < task.accountCount; number++) accounts.push(await makeAccount(number));
  process.send?.("ready");
  process.once("message", () => {
    const refill = setInterval(() => {
      bytesAllowed = Math.min(bytesAllowed + task.bytesPerSecond / 20, task.bytesPerSecond);
    }, 50);
    const strangers = Array.from({ length: task.connectionCount }, stranger);
    process.once("message", async () => {
      isOver = true;
      await Promise.race([Promise.all(strangers), sleep(HOLD_MS + 5_000)]);
      clearInterval(refill);
      process.send?.({ deeds, endings, bytesSent } satisfies StrangersReport, () => process.exit(0));
    });
  });
});
