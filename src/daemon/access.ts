// Who may call the API over TCP. The dangers are those of every local web interface: another website open in the browser (CSRF), a
// name that is made to point here (DNS rebinding), another page on this machine, and guessing. So every call needs a token, the
// Host header must name this daemon, and a browser must say that the call comes from the daemon's own page. A browser sends its
// cookies to every port of a host, so a cookie counts only together with the page key, which the page keeps for its own origin.
import type { IncomingMessage } from "node:http";
import { BoundedMap } from "../api/bounded-map.ts";
import { type BrowserSecrets, type DaemonStore, newSecret, type TokenInfo } from "./daemon-store.ts";
import type { Scope } from "./endpoints.ts";
import { HttpRefusal } from "./http-refusal.ts";

/** The header in which the page gives its key. */
const PAGE_KEY_HEADER = "x-minitorrent-page";
/** A link is opened by a program that was told of it a moment ago. */
const LINK_LIFETIME_MS = 120_000;
const MOST_LINKS = 16;
/** Wrong tokens in a minute, past which every further wrong one gets 429; right ones are still let in. */
const MOST_WRONG = 30;
const WRONG_PERIOD_MS = 60_000;

export interface AccessOptions {
  readonly store: Pick<DaemonStore, "addBrowser" | "browserWith" | "revokeToken" | "tokenWith">;
  /** `host:port` as a browser may name this daemon. */
  readonly hosts: () => ReadonlySet<string>;
  /** Names the cookie, since daemons on two ports of a host get each other's. */
  readonly port: () => number;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
}

/** Decides whether a request is answered. */
export type Guard = Pick<
  Access,
  "check" | "checkHost" | "checkOwnPage" | "enter" | "leave" | "cookieWith" | "endedCookie"
>;

export class Access {
  readonly #options: AccessOptions;
  /** One-time link → when it ends. */
  readonly #links = new BoundedMap<string, number>(MOST_LINKS);
  #wrong = { count: 0, sinceMs: 0 };

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /**
   * @returns the token or the browser's session of the caller
   * @throws HttpRefusal 401, 403, 421 or 429
   */
  check(request: IncomingMessage, scope: Scope): TokenInfo {
    this.checkHost(request);
    const bearer = bearerIn(request);
    const cookie = this.#cookieIn(request);
    // A cookie alone is what a page on another port has: no guess of anything.
    if (bearer === undefined && (cookie === undefined || request.headers[PAGE_KEY_HEADER] === undefined)) {
      throw new HttpRefusal(
        401,
        "TOKEN_NEEDED",
        "This needs a token: minitorrent token create <name> makes one. A browser gets in with minitorrent web.",
      );
    }
    const token = bearer === undefined ? this.#browserOf(request, cookie ?? "") : this.#tokenWith(bearer);
    // A browser sends a cookie by itself, whoever asks; a token it does not.
    if (bearer === undefined) checkOrigin(request);
    if (scope === "read" || token.scope === "control") return token;
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
   * A browser has opened a link. A session that it had already ends.
   *
   * @returns what it must keep from now on
   * @throws HttpRefusal 401 if the link was opened before, or is too old; 403, 421
   */
  enter(request: IncomingMessage, link: string): BrowserSecrets {
    this.checkHost(request);
    checkOrigin(request);
    const untilMs = this.#links.get(link);
    this.#links.delete(link);
    const nowMs = this.#options.nowMs();
    if (untilMs === undefined || untilMs < nowMs) {
      throw new HttpRefusal(
        401,
        "TOKEN_NEEDED",
        "This link was opened before, or is too old: get a new one with minitorrent web.",
      );
    }
    const earlier = this.#sessionOf(request, this.#cookieIn(request) ?? "");
    if (earlier !== undefined) this.#options.store.revokeToken(earlier.name);
    const secrets = { cookie: newSecret(), pageKey: newSecret() };
    this.#options.store.addBrowser(secrets, nowMs);
    return secrets;
  }

  /** Ends the session of a browser. @throws HttpRefusal 400 for a token, which is no session */
  leave({ kind, name }: TokenInfo): void {
    if (kind === "token") {
      throw new HttpRefusal(
        400,
        "INVALID_ARGUMENT",
        `'${name}' is a token, not the session of a browser: minitorrent token revoke ends it.`,
      );
    }
    this.#options.store.revokeToken(name);
  }

  /** The value of a Set-Cookie header for the session (RFC 6265). */
  cookieWith({ cookie }: Pick<BrowserSecrets, "cookie">, lifetimeMs: number): string {
    const seconds = Math.floor(lifetimeMs / 1_000);
    return `${this.#cookieName}=${cookie}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${seconds}`;
  }

  /** The value of a Set-Cookie header that removes it. */
  get endedCookie(): string {
    return this.cookieWith({ cookie: "" }, 0);
  }

  /** @throws HttpRefusal 421 */
  checkHost({ headers: { host = "" } }: IncomingMessage): void {
    if (this.#options.hosts().has(host.toLowerCase())) return;
    throw new HttpRefusal(
      421,
      "TOKEN_NEEDED",
      `'${host.slice(0, 200)}' is not a name of this daemon: use its address, or give the name with --web-hosts.`,
    );
  }

  /** For what has a secret in its address, and needs no token: another page must not have it. @throws HttpRefusal 403, 421 */
  checkOwnPage(request: IncomingMessage): void {
    this.checkHost(request);
    checkOrigin(request);
  }

  get #cookieName(): string {
    return `minitorrent-${this.#options.port()}`;
  }

  #cookieIn({ headers: { cookie = "" } }: IncomingMessage): string | undefined {
    const begin = `${this.#cookieName}=`;
    const values = cookie
      .split(";")
      .map((pair) => pair.trim())
      .filter((pair) => pair.startsWith(begin))
      .map((pair) => pair.slice(begin.length));
    return values.find((value) => /^[A-Za-z0-9_-]{1,200}$/.test(value));
  }

  #browserOf(request: IncomingMessage, cookie: string): TokenInfo {
    return (
      this.#sessionOf(request, cookie) ??
      this.#refuse("This browser is not logged in to the daemon any more: minitorrent web opens the page.")
    );
  }

  #sessionOf({ headers }: IncomingMessage, cookie: string): TokenInfo | undefined {
    const pageKey = headers[PAGE_KEY_HEADER];
    if (typeof pageKey !== "string") return undefined;
    return this.#options.store.browserWith({ cookie, pageKey }, this.#options.nowMs());
  }

  #tokenWith(secret: string): TokenInfo {
    return (
      this.#options.store.tokenWith(secret) ??
      this.#refuse("No such token; minitorrent token list shows those there are.")
    );
  }

  #refuse(sentence: string): never {
    const nowMs = this.#options.nowMs();
    if (nowMs - this.#wrong.sinceMs > WRONG_PERIOD_MS) this.#wrong = { count: 0, sinceMs: nowMs };
    this.#wrong.count++;
    if (this.#wrong.count > MOST_WRONG)
      throw new HttpRefusal(429, "TOO_MANY_ATTEMPTS", "Too many wrong tokens; wait a minute.");
    throw new HttpRefusal(401, "TOKEN_NEEDED", sentence);
  }
}

/** A call with a cookie must come from the daemon's own page (Fetch Metadata; `Origin`, RFC 6454). */
function checkOrigin({ headers, method }: IncomingMessage): void {
  const { host = "", origin, "sec-fetch-site": site } = headers;
  const isLooking = method === "GET" || method === "HEAD";
  // HTTPS is that of a proxy before the daemon.
  const isOwnOrigin = origin === `http://${host}` || origin === `https://${host}`;
  const isOwnSite = site === "same-origin" || (site === "none" && isLooking);
  // A browser without Fetch Metadata sends no Origin with a GET of its own page.
  const isOwn = site === undefined ? isOwnOrigin || (origin === undefined && isLooking) : isOwnSite;
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
