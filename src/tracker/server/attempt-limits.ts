// Rate limits for logins, invites, new accounts and calls. Only logins with a wrong password count, and invites that do not hold. An address counts as its network
// (api/addresses.ts), since the holder of one IPv6 address has 2^64 of them. No login limit applies to an account alone, so
// that nobody can lock its user out by failing elsewhere. A user who has logged in from a network before is not affected by
// failures of its other users.
import { networkOf } from "../../api/addresses.ts";
import { type ErrorCode, MiniTorrentError } from "../../api/errors.ts";
import { FailureLimit, tooManyAttempts } from "./failure-limit.ts";
import type { PasswordPurpose } from "./password-hasher.ts";
import { type CountStore, WindowCounter } from "./window-counter.ts";

export interface AttemptLimitOptions {
  /** Failed logins to one account from one address, within the window. */
  readonly loginsPerAccount: number;
  /** Failed logins from one address to any account, within the window. */
  readonly loginsPerAddress: number;
  /** Accounts made from one address within the window: each costs the tracker a hash, and rows for good. */
  readonly accountsPerAddress: number;
  /** Invites that do not hold and that one account tries, within the window. */
  readonly invitesPerAccount: number;
  /** Those that are tried from one address, by any account, within the window. */
  readonly invitesPerAddress: number;
  readonly windowSeconds: number;
  /** Calls of one account within CALL_WINDOW_MS. */
  readonly callsPerAccount: number;
  /** Of these, calls that write: each costs every tracker a flush to disk. */
  readonly writesPerAccount: number;
  /** The same over HOUR_MS, since replaced and ended rows leave tombstones for good. */
  readonly writesPerAccountAndHour: number;
}

const CALL_WINDOW_MS = 10_000;
const HOUR_MS = 3_600_000;
/** How long a successful login makes a user known in a network. */
const KNOWN_FOR_MS = 30 * 24 * HOUR_MS;
/** Most writes of an hour whose count may be lost when a tracker is killed. */
const WRITES_STORED_EVERY = 1_000;

export const DEFAULT_ATTEMPT_LIMITS: AttemptLimitOptions = {
  loginsPerAccount: 10,
  loginsPerAddress: 100,
  accountsPerAddress: 600,
  invitesPerAccount: 10,
  invitesPerAddress: 100,
  windowSeconds: 300,
  callsPerAccount: 20_000,
  writesPerAccount: 5_000,
  writesPerAccountAndHour: 50_000,
};

export class AttemptLimits {
  readonly #options: AttemptLimitOptions;
  /** By network and user id. */
  readonly #ofAccount: FailureLimit;
  /** By network. */
  readonly #ofNetwork: FailureLimit;
  /** By account. */
  readonly #invitesOfAccount: FailureLimit;
  /** By network. */
  readonly #invitesOfNetwork: FailureLimit;
  readonly #newAccounts: WindowCounter;
  /** Network and user id of logins that succeeded. */
  readonly #known: WindowCounter;
  readonly #calls: WindowCounter;
  readonly #writes: WindowCounter;
  readonly #writesOfHour: WindowCounter;

  /**
   * @param store keeps the long windows over a restart
   * @param nowMs a clock that nobody sets
   */
  constructor(
    overrides: Partial<AttemptLimitOptions> = {},
    store?: CountStore,
    nowMs: () => number = () => performance.now(),
  ) {
    this.#options = { ...DEFAULT_ATTEMPT_LIMITS, ...overrides };
    const { loginsPerAccount, loginsPerAddress, windowSeconds } = this.#options;
    const { invitesPerAccount, invitesPerAddress } = this.#options;
    const counter = (windowMs: number, name?: string, every = 1) => {
      const kept = store === undefined || name === undefined ? {} : { kept: { store, name, every } };
      return new WindowCounter({ windowMs, nowMs, ...kept });
    };
    const windowMs = windowSeconds * 1000;
    this.#ofAccount = new FailureLimit(loginsPerAccount, counter(windowMs, "failed-logins-of-account"));
    this.#ofNetwork = new FailureLimit(loginsPerAddress, counter(windowMs, "failed-logins-of-network"));
    this.#invitesOfAccount = new FailureLimit(
      invitesPerAccount,
      counter(windowMs, "failed-invites-of-account"),
    );
    this.#invitesOfNetwork = new FailureLimit(
      invitesPerAddress,
      counter(windowMs, "failed-invites-of-network"),
    );
    this.#newAccounts = counter(windowMs, "new-accounts");
    this.#known = counter(KNOWN_FOR_MS, "known-logins");
    this.#calls = counter(CALL_WINDOW_MS);
    this.#writes = counter(CALL_WINDOW_MS);
    this.#writesOfHour = counter(HOUR_MS, "writes-of-hour", WRITES_STORED_EVERY);
  }

  /**
   * Runs a login. It counts only if it is refused with BAD_CREDENTIALS. Of concurrent logins, those that could be
   * one failure too many wait for the results of the others.
   *
   * @throws MiniTorrentError TOO_MANY_ATTEMPTS, TRACKER_BUSY, or what `login` throws
   */
  async login<T>(
    address: string,
    userId: string,
    login: (purpose: PasswordPurpose) => Promise<T>,
  ): Promise<T> {
    const network = networkOf(address);
    const pair = JSON.stringify([network, userId]);
    const isKnown = this.#known.countOf(pair) > 0;
    return await attempt(this.#ofAccount, pair, async () => {
      const result = isKnown
        ? await login("known-login")
        : await attempt(this.#ofNetwork, network, () => login("login"));
      this.#ofAccount.forgive(pair);
      if (!isKnown) this.#known.add(pair);
      return result;
    });
  }

  /**
   * Uses an invite. It counts only if it is refused with INVITE_REFUSED.
   *
   * @throws MiniTorrentError TOO_MANY_ATTEMPTS, TRACKER_BUSY, or what `use` throws
   */
  useInvite<T>(address: string, accountId: string, use: () => Promise<T>): Promise<T> {
    return attempt(
      this.#invitesOfAccount,
      accountId,
      () => attempt(this.#invitesOfNetwork, networkOf(address), use, "INVITE_REFUSED"),
      "INVITE_REFUSED",
    );
  }

  /**
   * Makes an account.
   *
   * @throws MiniTorrentError TOO_MANY_ATTEMPTS, or what `create` throws
   */
  async createAccount<T>(address: string, create: () => Promise<T>): Promise<T> {
    const network = networkOf(address);
    consume(this.#newAccounts, this.#options.accountsPerAddress, network);
    try {
      return await create();
    } catch (error) {
      // Failed without creating an account, so it does not count.
      if (isBusy(error)) this.#newAccounts.takeBack(network);
      throw error;
    }
  }

  /** @throws MiniTorrentError TOO_MANY_ATTEMPTS */
  call(accountId: string): void {
    consume(this.#calls, this.#options.callsPerAccount, accountId);
  }

  /** @throws MiniTorrentError TOO_MANY_ATTEMPTS */
  write(accountId: string): void {
    const { writesPerAccount, writesPerAccountAndHour } = this.#options;
    consume(this.#writes, writesPerAccount, accountId);
    consume(this.#writesOfHour, writesPerAccountAndHour, accountId);
  }

  /** Stores counts that a restart needs and that are not stored at every change. */
  store(): void {
    this.#writesOfHour.store();
  }
}

/** @param failure the code that counts as one */
async function attempt<T>(
  limit: FailureLimit,
  key: string,
  work: () => Promise<T>,
  failure: ErrorCode = "BAD_CREDENTIALS",
): Promise<T> {
  await limit.enter(key);
  let hasFailed = false;
  try {
    return await work();
  } catch (error) {
    hasFailed = error instanceof MiniTorrentError && error.code === failure;
    throw error;
  } finally {
    limit.leave(key, hasFailed);
  }
}

function consume(counter: WindowCounter, most: number, key: string): void {
  if (counter.countOf(key) >= most) throw tooManyAttempts(counter.remainingMsOf(key));
  counter.add(key);
}

function isBusy(error: unknown): boolean {
  return error instanceof MiniTorrentError && error.code === "TRACKER_BUSY";
}
