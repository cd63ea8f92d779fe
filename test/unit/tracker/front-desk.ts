// The router's procedures on a registry in memory, for tests of what surrounds a rule: sessions, limits, quotas, payers.
import { generateKeyPairSync, randomUUID } from "node:crypto";
import type { TestContext } from "node:test";
import { Connection, Connections } from "../../../src/tracker/presence/client-connections.ts";
import { KnownMembers } from "../../../src/tracker/presence/known-members.ts";
import { PeerDirectory } from "../../../src/tracker/presence/peer-directory.ts";
import { Presence } from "../../../src/tracker/presence/presence.ts";
import type { Passwords } from "../../../src/tracker/rules/accounts.ts";
import { MemberCertificates } from "../../../src/tracker/rules/member-certificates.ts";
import { AttemptLimits } from "../../../src/tracker/server/attempt-limits.ts";
import { CallTurns } from "../../../src/tracker/server/call-turns.ts";
import { FairSlots } from "../../../src/tracker/server/fair-slots.ts";
import type { PasswordCaller } from "../../../src/tracker/server/password-hasher.ts";
import {
  type Procedure,
  type ProcedureKind,
  proceduresOf,
} from "../../../src/tracker/server/procedure-builder.ts";
import type { RouterContext, RouterServices } from "../../../src/tracker/server/procedures.ts";
import { type AppRouter, appRouter } from "../../../src/tracker/server/router.ts";
import { DEFAULT_TRACKER_LIMITS, type TrackerLimits } from "../../../src/tracker/tracker-limits.ts";
import { town } from "./fixture.ts";

/** Of every device: nothing here compares keys. */
const DEVICE_KEY = generateKeyPairSync("ec", {
  namedCurve: "P-256",
  publicKeyEncoding: { format: "der", type: "spki" },
  privateKeyEncoding: { format: "der", type: "pkcs8" },
}).publicKey;

type Changeable<T> = { -readonly [K in keyof T]: T[K] };

/** What a tracker was asked to write. */
export interface Written {
  readonly writeId: string;
  readonly isRetry: boolean | undefined;
}

/**
 * @param attempts where they differ from the default limits
 * @param overrides services in place of the usual ones
 */
export function frontDesk(
  t: TestContext,
  attempts: Partial<TrackerLimits> = {},
  overrides: Partial<RouterServices> = {},
) {
  const place = town(t);
  const connections = new Connections();
  const members = new KnownMembers(place.registry);
  const setTimer = (_delayMs: number, callback: () => void) => {
    const soon = setImmediate(callback);
    return () => clearImmediate(soon);
  };
  const presence: Presence = new Presence({
    publish: () => {},
    groupOf: (infoHash) => members.groupOf(infoHash),
    isMember: (groupClaimId, accountId) => members.member(groupClaimId, accountId) !== undefined,
    onPeerOnline: (infoHash, peer, isNew) => peers.peerOnline(infoHash, peer, isNew),
    onPeerOffline: (infoHash, deviceId) => peers.peerOffline(infoHash, deviceId),
    setTimer,
  });
  const peers = new PeerDirectory(members, presence, connections, setTimer);
  t.after(() => {
    presence.close();
    peers.close();
  });
  /** Changed by a test: each call reads them. */
  const limits: Changeable<TrackerLimits> = { ...DEFAULT_TRACKER_LIMITS, ...attempts };
  const counted = { loginsRefused: 0, certificatesIssued: 0, faults: [] as string[] };
  const hashing: (PasswordCaller & { readonly password: string })[] = [];
  const written: Written[] = [];
  const services: RouterServices = {
    registry: place.registry,
    write: async (writeId, work, isRetry) => {
      written.push({ writeId, isRetry });
      return await place.write(work, writeId);
    },
    writeAndConfirm: async (writeId, work, isRetry) => {
      written.push({ writeId, isRetry });
      return { result: await place.write(work, writeId), unconfirmedAt: [] };
    },
    connections,
    presence,
    peers,
    limits: new AttemptLimits(attempts),
    passwords: {
      passwordsFor: (caller) => plainPasswords((password) => hashing.push({ ...caller, password })),
    },
    turns: new CallTurns({ nowMs: () => performance.now(), nextTurn: (run) => setImmediate(run) }),
    longMessages: new FairSlots(1),
    infoChecks: new FairSlots(1),
    accountLimits: limits,
    certificates: new MemberCertificates(limits.keysPerUser),
    revocationsSinceMs: () => 0,
    trackerKeys: () => [{ address: "192.0.2.9:9000", fingerprint: "a".repeat(64) }],
    nowMs: () => place.nowMs,
    counters: {
      loginRefused: () => counted.loginsRefused++,
      certificateIssued: () => counted.certificatesIssued++,
      handlerFailed: () => {},
    },
    reportFault: (error, path) => counted.faults.push(`${path}: ${String(error)}`),
    ...overrides,
  };
  let connected = 0;
  /** A connection of the device with that letter, and the procedures as it calls them. */
  const client = (letter: string, host = "192.0.2.1") => {
    const connection = new Connection({
      ...{ id: `c${connected++}`, host, deviceId: letter.repeat(64) },
      publicKeySpki: DEVICE_KEY,
    });
    connections.add(connection);
    return { connection, api: callsOf({ connection, tracker: services }) };
  };
  /** Such a connection, with an account of that name. */
  const signedUp = async (userId: string, letter = userId.charAt(0), host?: string) => {
    const one = client(letter, host);
    await one.api.session.createUser({ writeId: randomUUID(), userId, password: userId });
    const account = await one.api.session.login({ writeId: randomUUID(), userId, password: userId });
    return { ...one, account };
  };
  return {
    place,
    connections,
    presence,
    peers,
    limits,
    counted,
    hashing,
    written,
    services,
    client,
    signedUp,
  };
}

/** A router's procedures as functions of their input. */
type Calls<R> = {
  readonly [Name in keyof R]: R[Name] extends Procedure<never, ProcedureKind, infer Input, infer Output>
    ? (input: Input) => Promise<Output>
    : Calls<R[Name]>;
};

/** The procedures as a connection calls them, without messages. */
export function callsOf(context: RouterContext): Calls<AppRouter> {
  const calls: Record<string, unknown> = {};
  for (const [path, procedure] of proceduresOf(appRouter)) {
    const [group = "", name] = path.split(".");
    const call = (input: unknown) => procedure.run(context, input);
    if (name === undefined) calls[group] = call;
    else calls[group] = { ...(calls[group] as object | undefined), [name]: call };
  }
  return calls as Calls<AppRouter>;
}

/** Passwords that are their own hashes. */
function plainPasswords(onHash: (password: string) => void): Passwords {
  const hash = async (password: string): Promise<string> => {
    onHash(password);
    return password;
  };
  return {
    hash,
    verify: async (stored, password) => (await hash(password)) === stored,
    verifyNoOne: async (password) => {
      await hash(password);
      return false;
    },
  };
}

/** For `assert.rejects`: the refusal has that code, and its sentence matches. */
export function refusal(code: string, sentence = /./): (error: unknown) => boolean {
  return (error) =>
    error instanceof Error && "code" in error && error.code === code && sentence.test(error.message);
}
