// Logs in without a person whenever the daemon has no session and has been given a password: at its start, and after the trackers have
// ended the session. It tries until a tracker answers, and gives up when the trackers refuse.
import type { Logger } from "pino";
import { asMiniTorrentError, type ErrorCode } from "../api/errors.ts";
import { type Clock, reportFault } from "../net/timers.ts";

const FIRST_PAUSE_MS = 2_000;
const LAST_PAUSE_MS = 300_000;
/** Trying again would not help: somebody must change something first, or has already logged in. */
const FINAL: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "BAD_CREDENTIALS",
  "INVALID_ARGUMENT",
  "ALREADY_LOGGED_IN",
]);

export interface UnattendedLoginOptions {
  /** One attempt. */
  readonly login: () => Promise<unknown>;
  readonly clock: Clock;
  readonly log: Logger;
}

export class UnattendedLogin {
  readonly #options: UnattendedLoginOptions;
  #isTrying = false;
  #isClosed = false;
  #cancelPause: () => void = () => undefined;

  constructor(options: UnattendedLoginOptions) {
    this.#options = options;
  }

  /** Tries in the background, unless it does already. */
  begin(): void {
    if (this.#isTrying || this.#isClosed) return;
    this.#isTrying = true;
    this.#try(FIRST_PAUSE_MS);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelPause();
  }

  #try(pauseMs: number): void {
    this.#attempt(pauseMs).catch((error: unknown) => reportFault(error, "logging in without a person"));
  }

  async #attempt(pauseMs: number): Promise<void> {
    const { login, clock, log } = this.#options;
    try {
      await login();
      this.#isTrying = false;
    } catch (error) {
      const failure = asMiniTorrentError(error);
      const isFinal = FINAL.has(failure.code);
      const inMs = Math.max(pauseMs, failure.retryAfterMs ?? 0);
      log.warn(
        { code: failure.code, reason: failure.message, ...(isFinal ? {} : { inMs }) },
        isFinal ? "the login without a person is given up" : "the login without a person failed",
      );
      if (isFinal || this.#isClosed) {
        this.#isTrying = false;
        return;
      }
      this.#cancelPause = clock.setTimer(inMs, () => this.#try(Math.min(pauseMs * 2, LAST_PAUSE_MS)));
    }
  }
}
