// Bounds the number of keys for which an account has valid certificates of this tracker, in all its groups. Each device has one
// key and each export one more; hundreds would serve only to exhaust peers' connections.
import { createHash } from "node:crypto";
import { MiniTorrentError } from "../../api/errors.ts";
import { MEMBER_CERTIFICATE_LIFETIME_MS } from "../../identity/certificate-lifetimes.ts";

interface AccountKeys {
  /** Digest of a key → end of its latest certificate, earliest first. */
  readonly untilMs: Map<string, number>;
  lastEndMs: number;
}

export class CertifiedKeys {
  readonly #mostKeys: number;
  /** Accounts, least recent request first. */
  readonly #accounts = new Map<string, AccountKeys>();

  constructor(mostKeys: number) {
    this.#mostKeys = mostKeys;
  }

  /** Number of accounts remembered, for a test of its bound. */
  get accountCount(): number {
    return this.#accounts.size;
  }

  /**
   * A certificate is about to be issued for that key.
   *
   * @param publicKeySpki DER
   * @throws MiniTorrentError LIMIT_REACHED if the account has valid ones for too many others
   */
  admit(accountId: string, publicKeySpki: Uint8Array, nowMs: number): void {
    this.#forgetWhoIsGone(nowMs);
    const account = this.#accounts.get(accountId) ?? { untilMs: new Map<string, number>(), lastEndMs: 0 };
    const { untilMs } = account;
    for (const [digest, endMs] of untilMs) {
      if (endMs > nowMs) break;
      untilMs.delete(digest);
    }
    const digest = createHash("sha256").update(publicKeySpki).digest("base64");
    if (!untilMs.has(digest) && untilMs.size >= this.#mostKeys) throw tooMany(this.#mostKeys, untilMs, nowMs);
    untilMs.delete(digest);
    account.lastEndMs = nowMs + MEMBER_CERTIFICATE_LIFETIME_MS;
    untilMs.set(digest, account.lastEndMs);
    this.#accounts.delete(accountId);
    this.#accounts.set(accountId, account);
  }

  #forgetWhoIsGone(nowMs: number): void {
    for (const [accountId, { lastEndMs }] of this.#accounts) {
      if (lastEndMs > nowMs) return;
      this.#accounts.delete(accountId);
    }
  }
}

function tooMany(mostKeys: number, untilMs: ReadonlyMap<string, number>, nowMs: number): MiniTorrentError {
  const [firstEndMs = nowMs] = untilMs.values();
  const minutes = Math.max(1, Math.ceil((firstEndMs - nowMs) / 60_000));
  return new MiniTorrentError(
    "LIMIT_REACHED",
    `Your account has certificates for ${mostKeys} keys, the most that this tracker allows at a time; ` +
      `use the clients that already run, or try again in ${minutes} min.`,
  );
}
