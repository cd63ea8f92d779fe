// How often passwords may be tried, accounts made, and the tracker asked. Failed logins count; one that succeeds gives
// its attempt back.
// An address counts as its network (api/addresses.ts), since who has one IPv6 address has 2^64 of them.
// No limit is on an account alone, so that nobody can lock a user out of it by failing on purpose elsewhere.
import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import { networkOf } from "../api/addresses.ts";
import { MiniTorrentError } from "../api/errors.ts";

export interface AttemptLimitOptions {
  /** Failed logins to one account from one address, within the window. */
  readonly loginsPerAccount: number;
  /** Failed logins from one address to any account, within the window. */
  readonly loginsPerAddress: number;
  /** Accounts made from one address within the window: each costs the tracker a hash, and rows for good. */
  readonly accountsPerAddress: number;
  readonly windowSeconds: number;
  /** Calls of one account within CALL_WINDOW_SECONDS. */
  readonly callsPerAccount: number;
  /** Of these, calls that write: each costs every tracker a flush to disk. */
  readonly writesPerAccount: number;
  /** The same over HOUR_SECONDS: rows that were replaced or ended leave traces for good. */
  readonly writesPerAccountAndHour: number;
}

const CALL_WINDOW_SECONDS = 10;
const HOUR_SECONDS = 3600;

export const DEFAULT_ATTEMPT_LIMITS: AttemptLimitOptions = {
  loginsPerAccount: 10,
  loginsPerAddress: 100,
  accountsPerAddress: 600,
  windowSeconds: 300,
  callsPerAccount: 20_000,
  writesPerAccount: 5_000,
  writesPerAccountAndHour: 50_000,
};

export class AttemptLimits {
  readonly #perAccount: RateLimiterMemory;
  readonly #perAddress: RateLimiterMemory;
  readonly #accounts: RateLimiterMemory;
  readonly #calls: RateLimiterMemory;
  readonly #writes: RateLimiterMemory;
  readonly #writesAnHour: RateLimiterMemory;

  constructor(overrides: Partial<AttemptLimitOptions> = {}) {
    const options = { ...DEFAULT_ATTEMPT_LIMITS, ...overrides };
    const duration = options.windowSeconds;
    this.#perAccount = new RateLimiterMemory({ points: options.loginsPerAccount, duration });
    this.#perAddress = new RateLimiterMemory({ points: options.loginsPerAddress, duration });
    this.#accounts = new RateLimiterMemory({ points: options.accountsPerAddress, duration });
    const points = options.callsPerAccount;
    this.#calls = new RateLimiterMemory({ points, duration: CALL_WINDOW_SECONDS });
    this.#writes = new RateLimiterMemory({
      points: options.writesPerAccount,
      duration: CALL_WINDOW_SECONDS,
    });
    this.#writesAnHour = new RateLimiterMemory({
      points: options.writesPerAccountAndHour,
      duration: HOUR_SECONDS,
    });
  }

  /**
   * Runs a login. The attempt is taken before the password is looked at, so that many at once count as many.
   *
   * @throws MiniTorrentError TOO_MANY_ATTEMPTS, or what `login` throws
   */
  async login<T>(address: string, userId: string, login: () => Promise<T>): Promise<T> {
    const network = networkOf(address);
    const pair = JSON.stringify([network, userId]);
    await consume(this.#perAddress, network);
    await consume(this.#perAccount, pair);
    const result = await login();
    await this.#perAddress.reward(network);
    await this.#perAccount.delete(pair);
    return result;
  }

  /** @throws MiniTorrentError TOO_MANY_ATTEMPTS */
  async createAccount(address: string): Promise<void> {
    await consume(this.#accounts, networkOf(address));
  }

  /** @throws MiniTorrentError TOO_MANY_ATTEMPTS */
  async call(accountId: string): Promise<void> {
    await consume(this.#calls, accountId);
  }

  /** @throws MiniTorrentError TOO_MANY_ATTEMPTS */
  async write(accountId: string): Promise<void> {
    await consume(this.#writes, accountId);
    await consume(this.#writesAnHour, accountId);
  }
}

async function consume(limiter: RateLimiterMemory, key: string): Promise<void> {
  try {
    await limiter.consume(key);
  } catch (error) {
    if (!(error instanceof RateLimiterRes)) throw error;
    const seconds = Math.ceil(error.msBeforeNext / 1000);
    const sentence = `Too many attempts; try again in ${seconds} s.`;
    throw new MiniTorrentError("TOO_MANY_ATTEMPTS", sentence, { retryAfterMs: seconds * 1000 });
  }
}
