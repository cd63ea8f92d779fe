// Whether a peer answers what it is asked, and how it keeps from it if not: said to the user, and remembered when the
// peer comes again. It decides nothing; who is snubbed or rests is request-window.ts's and downloader.ts's.

/** The least timeout of a request (request-window.ts): who is silent for longer is said to be. */
const SILENT_MS = 3000;

export class StallDetector {
  readonly #clock: () => number;
  #stall: string | undefined;
  #refusedInARow = 0;
  /** Something is asked for, and nothing has come or been rejected since. */
  #unansweredSinceMs: number | undefined;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  asked(): void {
    this.#unansweredSinceMs ??= this.#clock();
  }

  /** A block came, or a rejection. @param isMoreAsked something else is still to be answered */
  heard(isMoreAsked: boolean): void {
    this.#unansweredSinceMs = isMoreAsked ? this.#clock() : undefined;
  }

  /** Nothing that was asked for needs an answer any longer. */
  nothingIsAsked(): void {
    this.#unansweredSinceMs = undefined;
  }

  gave(): void {
    this.#stall = undefined;
    this.#refusedInARow = 0;
  }

  /** A request was rejected although the peer does not choke us. Returns how many in a row. */
  refused(): number {
    return ++this.#refusedInARow;
  }

  get hasRefused(): boolean {
    return this.#refusedInARow > 0;
  }

  /** It does not give what it is asked for, although it could. */
  stalled(how: string): void {
    this.#stall = how;
  }

  /** How it keeps from giving; undefined while it gives. */
  get stall(): string | undefined {
    return this.#stall ?? (this.#silentSeconds > 0 ? "does not answer" : undefined);
  }

  /** The same for who looks at it now: silence with how long it lasts. */
  get remark(): string | undefined {
    return this.#silentSeconds > 0 ? `silent for ${this.#silentSeconds} s` : this.#stall;
  }

  /** How long it has owed an answer without giving any; 0 while it owes none. */
  get unansweredMs(): number {
    return this.#unansweredSinceMs === undefined ? 0 : this.#clock() - this.#unansweredSinceMs;
  }

  get #silentSeconds(): number {
    const silentMs = this.unansweredMs;
    return silentMs < SILENT_MS ? 0 : Math.floor(silentMs / 1000);
  }
}
