// The common start of the router's procedures: the caller's device and account, rate limits, and one transaction for a write.
import { networkOf } from "../../api/addresses.ts";
import { MiniTorrentError } from "../../api/errors.ts";
import type { Account, ListPage, WriteAttempt } from "../../api/schemas.ts";
import type { Connection, Connections } from "../presence/client-connections.ts";
import type { PeerDirectory } from "../presence/peer-directory.ts";
import type { Presence } from "../presence/presence.ts";
import type { RegistryWriter, RevisedReader } from "../registry/registry.ts";
import { type AccountLimits, checkConnections, withinLimits } from "../rules/account-limits.ts";
import { accountOfDevice } from "../rules/accounts.ts";
import type { MemberCertificates } from "../rules/member-certificates.ts";
import { networkIdOf, paidBy } from "../rules/quota-payers.ts";
import { type QuotaLimits, withinQuotas } from "../rules/quotas.ts";
import type { Command } from "../rules/rule-command.ts";
import type { AttemptLimits } from "./attempt-limits.ts";
import type { CallTurns } from "./call-turns.ts";
import type { FairSlots } from "./fair-slots.ts";
import { type ReadSlice, readPage } from "./list-pages.ts";
import type { PasswordHasher } from "./password-hasher.ts";
import { procedure } from "./procedure-builder.ts";

/** The result of a write, and the other trackers of tracker_info.txt that have not confirmed it. */
export interface ConfirmedWrite<T> {
  readonly result: T;
  readonly unconfirmedAt: readonly string[];
}

/** What the procedures need of the tracker. */
export interface RouterServices {
  readonly registry: RevisedReader;
  /** One transaction, resolved when every connected tracker has it. */
  readonly write: <T>(writeId: string, work: (writer: RegistryWriter) => T, isRetry?: boolean) => Promise<T>;
  /** Like `write`, with the addresses of the trackers that have not confirmed it. */
  readonly writeAndConfirm: <T>(
    writeId: string,
    work: (writer: RegistryWriter) => T,
    isRetry?: boolean,
  ) => Promise<ConfirmedWrite<T>>;
  readonly connections: Connections;
  readonly presence: Presence;
  readonly peers: PeerDirectory;
  readonly limits: AttemptLimits;
  readonly passwords: Pick<PasswordHasher, "passwordsFor">;
  readonly turns: CallTurns;
  readonly longMessages: FairSlots;
  /** Reading info dictionaries that were sent in parts. */
  readonly infoChecks: FairSlots;
  readonly accountLimits: AccountLimits & QuotaLimits;
  readonly certificates: MemberCertificates;
  /** Memberships that ended after this time are listed to members, since their certificates may still be valid. */
  readonly revocationsSinceMs: () => number;
  /** This tracker's address and key, and the keys that it has seen at the other trackers' addresses. */
  readonly trackerKeys: () => readonly { readonly address: string; readonly fingerprint: string }[];
  readonly nowMs: () => number;
  readonly counters: {
    loginRefused(): void;
    certificateIssued(): void;
    handlerFailed(): void;
  };
  /** Logs an error that the client sees only as INTERNAL. */
  readonly reportFault: (error: unknown, path: string) => void;
}

export interface RouterContext {
  readonly tracker: RouterServices;
  readonly connection: Connection;
}

export type CommandContext = RouterContext & { readonly account: Account };

/** The account that is logged in on this device. TLS proves the device's key, so every tracker recognises the session. */
function sessionOf(ctx: RouterContext): Account {
  const { tracker, connection } = ctx;
  // A session depends on these rows only: while none is written, calls need no new look-up.
  const revision = tracker.registry.revision("device") + tracker.registry.revision("user");
  const known = connection.accountAt(revision);
  if (known !== undefined) return known;
  const account = accountOfDevice(tracker.registry, connection.deviceId);
  if (account !== undefined) {
    if (connection.account?.accountId !== account.accountId) attach(ctx, account);
    connection.isStillOf(revision);
    return account;
  }
  detach(tracker, connection);
  throw new MiniTorrentError("NOT_LOGGED_IN", "Nobody is logged in on this device; login <user_id> first.");
}

/** @throws MiniTorrentError LIMIT_REACHED */
export function requireRoom({ tracker, connection }: RouterContext, { accountId }: Account): void {
  if (connection.account?.accountId === accountId) return;
  checkConnections(tracker.accountLimits, tracker.connections.countOf(accountId));
}

/**
 * Gives the connection a session of the account. Refused for a connection that was closed meanwhile, such as during the
 * hashing of its password, since nothing would ever remove it again.
 *
 * @throws MiniTorrentError LIMIT_REACHED
 */
export function attach(ctx: RouterContext, account: Account): void {
  const { tracker, connection } = ctx;
  if (!tracker.connections.has(connection)) return;
  requireRoom(ctx, account);
  tracker.connections.logIn(connection, account);
  tracker.presence.arrive(connection.id, account.accountId, connection.deviceId, connection.host);
}

export function detach(tracker: RouterServices, connection: Connection): void {
  tracker.connections.logOut(connection);
  tracker.presence.depart(connection.id);
}

/** The key that a call's event-loop time is charged to: its account, or its network before a login. */
export function callerOf({ account, host }: Connection): string {
  return account?.accountId ?? `network ${networkOf(host)}`;
}

/** A procedure that needs no login. It runs in a turn of its caller (api-calls.ts). */
export const open = procedure((ctx: RouterContext) => ctx);

/** Resolves in the caller's next turn, to false if nobody waits for the answer any more. */
export async function takeTurn({ connection, tracker }: RouterContext): Promise<boolean> {
  await tracker.turns.take(callerOf(connection));
  return tracker.connections.byId(connection.id) !== undefined;
}

/** Reads one page of a list, each slice in a turn of the caller. */
export async function readPageOf<T>(
  ctx: RouterContext,
  after: string | undefined,
  readSlice: ReadSlice<T>,
): Promise<ListPage<T>> {
  const hasTurnAgain = async (): Promise<boolean> => {
    return ctx.tracker.turns.waitingCount === 0 && (await takeTurn(ctx));
  };
  return await readPage(hasTurnAgain, after, readSlice);
}

export const loggedIn = procedure((ctx: RouterContext): CommandContext => {
  const account = sessionOf(ctx);
  ctx.tracker.limits.call(account.accountId);
  return { ...ctx, account };
});

/** Runs a rule that adds something, as the calling account, in one transaction. */
export async function command<T>(
  ctx: CommandContext,
  attempt: WriteAttempt,
  rule: (command: Command) => T,
): Promise<T> {
  const { connection, tracker } = ctx;
  const { accountLimits } = tracker;
  return await endingCommand(ctx, attempt, (run) => {
    const payer = { accountId: run.account.accountId, networkId: networkIdOf(connection.host) };
    const spender = { reader: run.writer, payer, nowMs: run.nowMs, kind: "growth" } as const;
    return withinQuotas(accountLimits, spender, () => withinLimits(accountLimits, run, rule));
  });
}

/** Like `command`, for rules that end something. No quota applies, since ending is how an account gets below one. */
export async function endingCommand<T>(
  ctx: CommandContext,
  attempt: WriteAttempt,
  rule: (command: Command) => T,
): Promise<T> {
  return (await confirmedEndingCommand(ctx, attempt, rule)).result;
}

/** Like `endingCommand`, with the trackers that have not confirmed it. */
export async function confirmedEndingCommand<T>(
  { account, connection, tracker }: CommandContext,
  { writeId, isRetry }: WriteAttempt,
  rule: (command: Command) => T,
): Promise<ConfirmedWrite<T>> {
  tracker.limits.write(account.accountId);
  const nowMs = tracker.nowMs();
  const payer = { accountId: account.accountId, networkId: networkIdOf(connection.host) };
  const work = (writer: RegistryWriter): T => {
    writer.chargeTo(paidBy(payer));
    const startedMs = performance.now();
    try {
      return rule({ writer, writeId, account, nowMs });
    } finally {
      tracker.turns.charge(account.accountId, performance.now() - startedMs);
    }
  };
  return await tracker.writeAndConfirm(writeId, work, isRetry);
}
