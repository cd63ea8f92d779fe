// Addresses of files that a player or an <img> can read, which send no headers of their own: each has a secret, is good for one file
// for some hours, and ends with the token or browser's session that asked for it.
import { BoundedMap } from "../api/bounded-map.ts";
import { newSecret } from "./daemon-store.ts";
import { API_PREFIX } from "./endpoints.ts";

const LIFETIME_MS = 12 * 3_600_000;
/** The oldest makes room. */
const MOST_TICKETS = 1_000;

/** A file of a share. */
export interface ContentFile {
  readonly groupId: string;
  readonly fileName: string;
  /** Of a file in a folder. */
  readonly path?: string | undefined;
}

export interface ContentTicketsOptions {
  /** Whether the token or session of that name is still good. */
  readonly isGood: (callerName: string) => boolean;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
}

export class ContentTickets {
  readonly #options: ContentTicketsOptions;
  readonly #tickets = new BoundedMap<
    string,
    { readonly file: ContentFile; readonly callerName: string | undefined; readonly untilMs: number }
  >(MOST_TICKETS);

  constructor(options: ContentTicketsOptions) {
    this.#options = options;
  }

  /**
   * @param callerName of the token or session that asks; undefined on the Unix socket
   * @returns the path of its address
   */
  create({ groupId, fileName, path }: ContentFile, callerName: string | undefined): string {
    const ticket = newSecret();
    const untilMs = this.#options.nowMs() + LIFETIME_MS;
    this.#tickets.set(ticket, { file: { groupId, fileName, path }, callerName, untilMs });
    const name = (path ?? fileName).split("/").at(-1) ?? fileName;
    return `${API_PREFIX}/content/${ticket}/${encodeURIComponent(name.toWellFormed())}`;
  }

  /** The ticket's file; undefined if there is no such ticket, or it has ended. */
  fileOf(ticket: string): ContentFile | undefined {
    const found = this.#tickets.get(ticket);
    if (found === undefined) return undefined;
    const { file, callerName, untilMs } = found;
    const { isGood, nowMs } = this.#options;
    if (nowMs() < untilMs && (callerName === undefined || isGood(callerName))) return file;
    this.#tickets.delete(ticket);
    return undefined;
  }

  /** All end: nobody is logged in any more. */
  clear(): void {
    this.#tickets.clear();
  }
}
