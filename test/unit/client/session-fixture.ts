// What the tests of the login and of the line to the trackers stand on: a tracker that answers as the test says, a link to it,
// a clock with timers, a log that can be read, and a folder that is removed at the end.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { pino } from "pino";
import { type ErrorCode, MiniTorrentError } from "../../../src/api/errors.ts";
import type { GroupCertificate, OwnGroup } from "../../../src/api/schemas.ts";
import type { LoginLink } from "../../../src/client/login.ts";
import { apiOf, ConnectionLost, refusalOf } from "../../../src/client/trackers/api-channel.ts";
import {
  createDeviceIdentity,
  createGroupAuthority,
  type DeviceIdentity,
  type GroupAuthority,
  issueMemberCertificate,
} from "../../../src/identity/certificates.ts";
import { namesKeyOf } from "../../../src/identity/member-names.ts";

export const alice = { userId: "alice", accountId: "0001" };

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "minitorrent-client-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Lets everything run that waits for nothing but its turn. */
export async function settle(turns = 8): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** What a promise gives that waits for nothing but turns of the event loop; fails with a sentence if it waits for more. */
export async function soon<T>(what: string, promise: Promise<T>): Promise<T> {
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  promise.then(over, over);
  for (let turn = 0; turn < 500 && !isOver; turn++) await settle(1);
  assert.ok(isOver, `it does not come to this by itself: ${what}`);
  return promise;
}

/** Waits for what comes from a socket or a disk, whatever the clock of the test says. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const endMs = process.uptime() * 1_000 + 10_000;
  while (!holds()) {
    assert.ok(process.uptime() * 1_000 < endMs, `in 10 s it did not come to this: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export interface VirtualTime {
  after(milliseconds: number): Promise<void>;
  /** Timeouts that have neither run nor been cleared. */
  readonly timeouts: number;
}

/** What a promise gives that waits for a socket or a disk; fails with a sentence if it does not come. */
export async function arrives<T>(what: string, promise: Promise<T>): Promise<T> {
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  promise.then(over, over);
  await until(what, () => isOver);
  return promise;
}

/** From now on until the end of the test no time passes but what `after` lets pass. */
export function virtualTime(t: TestContext): VirtualTime {
  const beganMs = Date.now();
  const beganAtMs = performance.now();
  const real = { clearTimeout, clearInterval };
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: beganMs });
  t.mock.method(performance, "now", () => beganAtMs + Date.now() - beganMs);
  // What is left of an earlier test may end its timers now: each mock takes any timer for one of its own.
  const own = new WeakSet<object>();
  const pending = new Set<object>();
  for (const name of ["setTimeout", "setInterval"] as const) {
    const make = globalThis[name] as (work: () => void, ...given: unknown[]) => object;
    t.mock.method(globalThis, name, (work: () => void, ...given: unknown[]) => {
      const timer = make(
        () => {
          pending.delete(timer);
          work();
        },
        ...given,
      );
      own.add(timer);
      if (name === "setTimeout") pending.add(timer);
      return timer;
    });
  }
  for (const name of ["clearTimeout", "clearInterval"] as const) {
    const clear = globalThis[name];
    t.mock.method(globalThis, name, (timer: NodeJS.Timeout | undefined) => {
      if (timer === undefined) return;
      pending.delete(timer);
      if (own.has(timer)) clear(timer);
      else real[name](timer);
    });
  }
  return {
    after: async (milliseconds) => {
      await settle();
      t.mock.timers.tick(milliseconds);
      await settle();
    },
    get timeouts() {
      return pending.size;
    },
  };
}

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [fact: string]: unknown;
}

/** A log, and its lines so far. */
export function readableLog() {
  const lines: LogLine[] = [];
  const log = pino({ level: "trace" }, { write: (line) => lines.push(JSON.parse(line)) });
  const said = (level: keyof typeof pino.levels.values | string) =>
    lines.filter((line) => line.level === pino.levels.values[level]).map(({ msg }) => msg);
  return { log, lines, said };
}

export function refusal(code: ErrorCode): MiniTorrentError {
  return new MiniTorrentError(code, `The tracker says ${code}.`);
}

/** What a call fails with whose connection goes. */
export function lostConnection(): Error {
  return new ConnectionLost("The connection to the tracker was closed.");
}

/** What a call fails with that a tracker refuses. */
export function refusedCall(code: string): Error {
  return refusalOf({ code: -32_603, message: `Refused: ${code}.`, data: { minitorrentCode: code } });
}

interface Subscription {
  onStarted(): void;
  onData(events: unknown): void;
  onError(error: unknown): void;
  onComplete(): void;
}

export interface Listening {
  readonly listener: Subscription;
  isEnded: boolean;
}

/** A tracker: what it is asked, in order, and its answers. A question without an answer of the test's is a mistake. */
export class FakeTracker {
  readonly asked: { readonly path: string; readonly input: unknown }[] = [];
  /** Who has subscribed to events. */
  readonly listening: Listening[] = [];
  /** False: a subscription waits to be confirmed. */
  startsEvents = true;
  readonly #answers = new Map<string, (input: never) => unknown>();

  constructor() {
    this.answer("session.resume", () => alice);
    this.answer("session.logout", () => undefined);
    this.answer("groups.mine", () => ({ items: [] }));
    this.answer("presence.announce", () => undefined);
    this.answer("presence.update", () => []);
  }

  answer(path: string, answer: (input: never) => unknown): void {
    this.#answers.set(path, answer);
  }

  refuse(path: string, code: ErrorCode): void {
    this.answer(path, () => Promise.reject(refusal(code)));
  }

  /** What was asked since the last look. */
  take(): string[] {
    return this.asked.splice(0).map(({ path }) => path);
  }

  /** What was said in calls of that path, since the last look. */
  inputsOf(path: string): unknown[] {
    return this.asked.filter((call) => call.path === path).map(({ input }) => input);
  }

  /** Tells every subscriber. */
  tell(...events: unknown[]): void {
    for (const { listener, isEnded } of this.listening) if (!isEnded) listener.onData(events);
  }

  async call(path: string, input: unknown): Promise<unknown> {
    this.asked.push({ path, input });
    const answer = this.#answers.get(path);
    assert.ok(answer, `nobody expected the question ${path}`);
    return await answer(input as never);
  }

  readonly api = apiOf((kind, name, input, listener) => {
    if (kind !== "subscription") return this.call(name, input);
    const listening: Listening = { listener: listener as Subscription, isEnded: false };
    this.asked.push({ path: name, input });
    this.listening.push(listening);
    if (this.startsEvents) setImmediate(() => listening.listener.onStarted());
    return {
      unsubscribe: () => {
        listening.isEnded = true;
      },
    };
  });
}

/** A line to one tracker that stands. */
export class FakeLink implements LoginLink {
  readonly fake: FakeTracker;
  tracker: string | undefined = "192.0.2.1:9000";
  problem: string | undefined;
  clockAheadMs: number | undefined;
  clockWarning: string | undefined;
  /** How often each question is put: a failover puts it twice. */
  attempts = 1;
  prepare: () => Promise<void> = async () => undefined;

  constructor(fake = new FakeTracker()) {
    this.fake = fake;
  }

  ask: LoginLink["ask"] = async (answer, question) => {
    for (let attempt = 1; attempt < this.attempts; attempt++) await question(this.fake.api);
    return answer.parse(await question(this.fake.api));
  };

  prepareAgain(): Promise<void> {
    return this.prepare();
  }
}

/** Groups with real authorities, whose certificates a tracker issues to one device. */
export class FakeGroups {
  readonly #identity: DeviceIdentity;
  readonly #authorities = new Map<string, GroupAuthority>();
  readonly #tracker: FakeTracker;
  /** Group → membership of the user. */
  readonly memberships = new Map<string, string>();

  constructor(tracker: FakeTracker, identity: DeviceIdentity) {
    this.#tracker = tracker;
    this.#identity = identity;
    tracker.answer("groups.mine", () => ({ items: this.own() }));
    tracker.answer("groups.certificate", ({ groupId }: { groupId: string }) => this.certificate(groupId));
    tracker.answer("groups.revocations", () => ({ items: [] }));
  }

  /** The user is a member from now on. */
  join(groupId: string, membershipId = `m-${groupId}`): GroupAuthority {
    const authority = this.#authorities.get(groupId) ?? createGroupAuthority();
    this.#authorities.set(groupId, authority);
    this.memberships.set(groupId, membershipId);
    return authority;
  }

  /** The user is out of it from now on. */
  leave(groupId: string, code: "NOT_A_MEMBER" | "UNKNOWN_GROUP" = "NOT_A_MEMBER"): void {
    this.memberships.delete(groupId);
    this.#tracker.refuse("groups.members", code);
  }

  own(): OwnGroup[] {
    return [...this.memberships].map(([groupId, membershipId]) => ({
      groupId,
      membershipId,
      standing: "member",
    }));
  }

  certificate(groupId: string): GroupCertificate {
    const authority = this.#authorities.get(groupId);
    const membershipId = this.memberships.get(groupId);
    if (authority === undefined || membershipId === undefined) throw refusal("NOT_A_MEMBER");
    const { publicKeySpki } = this.#identity;
    const { certificatePem, validUntilMs } = issueMemberCertificate({
      ...{ authority, userId: "alice", membershipId, publicKeySpki, nowMs: Date.now() },
    });
    return {
      ...{ groupId, groupClaimId: `claim of ${groupId}`, certificatePem, membershipId, validUntilMs },
      authorityPem: authority.certificatePem,
      namesKey: namesKeyOf(authority.privateKeyPem),
    };
  }
}

export const identity = createDeviceIdentity();
