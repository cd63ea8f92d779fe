// Who may call the API over TCP. The dangers are those of every local web interface: another website open in the browser (CSRF), a
// name that is made to point here (DNS rebinding), another page on this machine, and guessing. So every call needs a token, the
// Host header must name this daemon, and a browser must say that the call comes from the daemon's own page.
import type { IncomingMessage } from "node:http";
import { BoundedMap } from "../api/bounded-map.ts";
import { type Guard, HttpRefusal } from "./api-server.ts";
import { type DaemonStore, newSecret, type TokenInfo } from "./daemon-store.ts";
import type { Scope } from "./endpoints.ts";

const SESSION_COOKIE = "minitorrent";
/** A link is opened by a program that was told of it a moment ago. */
const LINK_LIFETIME_MS = 120_000;
const MOST_LINKS = 16;
/** Wrong tokens in a minute, past which every further wrong one gets 429; right ones are still let in. */
const MOST_WRONG = 30;
const WRONG_PERIOD_MS = 60_000;

export interface AccessOptions {
  readonly store: Pick<DaemonStore, "addToken" | "tokenWith">;
  /** `host:port` as a browser may name this daemon. */
  readonly hosts: () => ReadonlySet<string>;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
}

export class Access implements Guard {
  readonly #options: AccessOptions;
  /** One-time link → when it ends. */
  readonly #links = new BoundedMap<string, number>(MOST_LINKS);
  #wrong = { count: 0, sinceMs: 0 };

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /** @throws HttpRefusal 401, 403, 421 or 429 */
  check(request: IncomingMessage, scope: Scope): void {
    this.#checkHost(request);
    const bearer = bearerIn(request);
    const secret = bearer ?? cookieIn(request);
    if (secret === undefined) {
      throw new HttpRefusal(
        401,
        "TOKEN_NEEDED",
        "This needs a token: minitorrent token create <name> makes one.",
      );
    }
    const token = this.#tokenWith(secret);
    // A browser sends a cookie by itself, whoever asks; a token it does not.
    if (bearer === undefined) checkOrigin(request);
    if (scope === "read" || token.scope === "control") return;
    throw new HttpRefusal(
      403,
      "TOKEN_NEEDED",
      `The token '${token.name}' may only look: this needs one with scope control.`,
    );
  }

  /** The secret of a link that opens the page once, soon. */
  link(): string {
    const secret = newSecret();
    this.#links.set(secret, this.#options.nowMs() + LINK_LIFETIME_MS);
    return secret;
  }

  /**
   * A browser has opened a link.
   *
   * @returns the value of its session cookie, which is a token of its own
   * @throws HttpRefusal 401 if the link was opened before, or is too old; 421
   */
  enter(request: IncomingMessage, link: string): string {
    this.#checkHost(request);
    const untilMs = this.#links.get(link);
    this.#links.delete(link);
    const nowMs = this.#options.nowMs();
    if (untilMs === undefined || untilMs < nowMs) {
      throw new HttpRefusal(
        401,
        "TOKEN_NEEDED",
        "This link was opened before, or is too old: get a new one, or use a token.",
      );
    }
    const secret = newSecret();
    this.#options.store.addToken(`browser ${new Date(nowMs).toISOString()}`, secret, "control", nowMs);
    return secret;
  }

  #checkHost({ headers: { host = "" } }: IncomingMessage): void {
    if (this.#options.hosts().has(host.toLowerCase())) return;
    throw new HttpRefusal(
      421,
      "TOKEN_NEEDED",
      `'${host.slice(0, 200)}' is not a name of this daemon: use its address, or give the name with --web-hosts.`,
    );
  }

  #tokenWith(secret: string): TokenInfo {
    const nowMs = this.#options.nowMs();
    if (nowMs - this.#wrong.sinceMs > WRONG_PERIOD_MS) this.#wrong = { count: 0, sinceMs: nowMs };
    const token = this.#options.store.tokenWith(secret);
    if (token !== undefined) return token;
    this.#wrong.count++;
    if (this.#wrong.count > MOST_WRONG) {
      throw new HttpRefusal(429, "TOO_MANY_ATTEMPTS", "Too many wrong tokens; wait a minute.");
    }
    throw new HttpRefusal(
      401,
      "TOKEN_NEEDED",
      "No such token; minitorrent token list shows those there are.",
    );
  }
}

/** A call with a cookie must come from the daemon's own page (Fetch Metadata; `Origin`, RFC 6454). */
function checkOrigin({ headers, method }: IncomingMessage): void {
  const { host = "", origin, "sec-fetch-site": site } = headers;
  const isOwnOrigin = origin === `http://${host}`;
  const isOwnSite = site === "same-origin" || (site === "none" && method === "GET");
  // A browser without Fetch Metadata sends no Origin with a GET of its own page.
  const isOwn = site === undefined ? isOwnOrigin || (origin === undefined && method === "GET") : isOwnSite;
  if (isOwn && (origin === undefined || isOwnOrigin)) return;
  throw new HttpRefusal(
    403,
    "TOKEN_NEEDED",
    "The call does not come from the daemon's own page: a script or another page needs a token of its own.",
  );
}

function bearerIn({ headers: { authorization } }: IncomingMessage): string | undefined {
  return /^Bearer (\S{1,200})$/.exec(authorization ?? "")?.[1];
}

function cookieIn({ headers: { cookie } }: IncomingMessage): string | undefined {
  return new RegExp(`(?:^|; )${SESSION_COOKIE}=([A-Za-z0-9_-]{1,200})(?:;|$)`).exec(cookie ?? "")?.[1];
}
