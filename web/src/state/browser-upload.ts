// One file or folder on its way from this browser to the daemon's machine. It is sent in parts, so that it can say how far it is,
// be cancelled at once, and go on where it was when the connection breaks. What sends the parts comes from outside.

/** Small enough that progress is smooth, large enough that a request costs little. */
const PART_BYTES = 4 * 1024 * 1024;
/** Files of a folder that are sent at a time: small ones wait for the disk, not for each other. */
const FILES_AT_ONCE = 4;
/** Attempts for a part before a person is asked. */
const MAX_ATTEMPTS = 4;
const FIRST_PAUSE_MS = 500;

/** What a Blob offers. */
export interface Content {
  readonly size: number;
  slice(start: number, end: number): Content;
}

export interface UploadedFile<C extends Content = Content> {
  /** In the folder; empty for a single file. */
  readonly path: string;
  readonly content: C;
}

export interface UploadPlan<C extends Content = Content> {
  readonly groupId: string;
  readonly name: string;
  readonly kind: "file" | "folder";
  readonly destinationPath?: string | undefined;
  readonly files: readonly UploadedFile<C>[];
}

export interface UploadLink<C extends Content, R> {
  begin(plan: UploadPlan<C>, lengthBytes: number): Promise<{ readonly uploadId: string }>;
  /** @returns how much of the file is there */
  send(uploadId: string, path: string, offset: number, part: C, signal: AbortSignal): Promise<number>;
  /** How much of a file is there. */
  received(uploadId: string, path: string): Promise<number>;
  /** Names it, and shares it. */
  finish(uploadId: string): Promise<R>;
  cancel(uploadId: string): Promise<void>;
  /** Whether trying again may help: the connection broke, or the daemon is busy. */
  isPassing(error: unknown): boolean;
  /** The daemon does not know the upload any more. */
  isForgotten(error: unknown): boolean;
  pause(ms: number): Promise<void>;
}

/** sent: all is there, and it waits for the word to be shared. */
export type UploadState = "waiting" | "sending" | "sent" | "sharing" | "shared" | "failed" | "cancelled";

export class BrowserUpload<C extends Content = Content, R = unknown> {
  readonly plan: UploadPlan<C>;
  readonly lengthBytes: number;
  readonly #link: UploadLink<C, R>;
  readonly #onChange: () => void;
  /** By index of the file: how much the daemon has. */
  readonly #sent: number[];
  #sentBytes = 0;
  #state: UploadState = "waiting";
  #problem: unknown;
  #result: R | undefined;
  #uploadId: string | undefined;
  #isWanted = false;
  #stop = new AbortController();

  constructor(plan: UploadPlan<C>, link: UploadLink<C, R>, onChange: () => void) {
    this.plan = plan;
    this.lengthBytes = plan.files.reduce((sum, { content }) => sum + content.size, 0);
    this.#link = link;
    this.#onChange = onChange;
    this.#sent = plan.files.map(() => 0);
  }

  get state(): UploadState {
    return this.#state;
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Why it failed. */
  get problem(): unknown {
    return this.#problem;
  }

  get result(): R | undefined {
    return this.#result;
  }

  /** It is to be shared as soon as all of it is there. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  /** Sends it, or goes on after a failure. Never rejects. */
  async run(): Promise<void> {
    if (this.#state !== "waiting" && this.#state !== "failed") return;
    const isAgain = this.#state === "failed";
    this.#stop = new AbortController();
    this.#become("sending");
    try {
      if (isAgain && this.#uploadId !== undefined) await this.#askHowFar(this.#uploadId);
      this.#uploadId ??= (await this.#link.begin(this.plan, this.lengthBytes)).uploadId;
      await this.#sendAll(this.#uploadId);
      if (this.#stop.signal.aborted) return;
      this.#become("sent");
    } catch (error) {
      this.#fail(error);
    }
    if (this.#isWanted) await this.#share();
  }

  /** Shares it once all is there. Never rejects. */
  async share(): Promise<void> {
    this.#isWanted = true;
    this.#onChange();
    if (this.#state === "failed") await this.run();
    else await this.#share();
  }

  /** Gives it up; what has come is removed. Never rejects. */
  async cancel(): Promise<void> {
    if (this.#state === "shared" || this.#state === "cancelled") return;
    this.#become("cancelled");
    this.#stop.abort();
    const uploadId = this.#uploadId;
    // The daemon removes what nobody asks for.
    if (uploadId !== undefined) await this.#link.cancel(uploadId).catch(() => undefined);
  }

  async #share(): Promise<void> {
    const uploadId = this.#uploadId;
    if (this.#state !== "sent" || uploadId === undefined) return;
    this.#become("sharing");
    try {
      this.#result = await this.#link.finish(uploadId);
      this.#become("shared");
    } catch (error) {
      this.#fail(error);
    }
  }

  async #sendAll(uploadId: string): Promise<void> {
    const waiting = this.plan.files.entries();
    const sendSome = async (): Promise<void> => {
      for (const [index, file] of waiting) await this.#sendFile(uploadId, index, file);
    };
    // Each takes the next file that nobody has taken.
    await Promise.all(Array.from({ length: FILES_AT_ONCE }, sendSome));
  }

  async #sendFile(uploadId: string, index: number, { path, content }: UploadedFile<C>): Promise<void> {
    let attempts = 0;
    // An empty file is sent too: the daemon makes it.
    let isThere = content.size > 0 && this.#sentOf(index) >= content.size;
    while (!isThere && !this.#stop.signal.aborted) {
      const from = this.#sentOf(index);
      const part = content.slice(from, Math.min(content.size, from + PART_BYTES)) as C;
      try {
        this.#note(index, await this.#link.send(uploadId, path, from, part, this.#stop.signal));
        isThere = this.#sentOf(index) >= content.size;
        attempts = 0;
      } catch (error) {
        attempts++;
        if (this.#stop.signal.aborted) return;
        if (attempts >= MAX_ATTEMPTS || !this.#link.isPassing(error)) throw error;
        await this.#link.pause(FIRST_PAUSE_MS * 2 ** (attempts - 1));
        this.#note(index, await this.#link.received(uploadId, path).catch(() => from));
      }
    }
  }

  #sentOf(index: number): number {
    return this.#sent[index] ?? 0;
  }

  #note(index: number, bytes: number): void {
    this.#sentBytes += bytes - this.#sentOf(index);
    this.#sent[index] = bytes;
    this.#onChange();
  }

  async #askHowFar(uploadId: string): Promise<void> {
    try {
      for (const [index, { path }] of this.plan.files.entries()) {
        if (this.#sentOf(index) > 0) this.#note(index, await this.#link.received(uploadId, path));
      }
    } catch (error) {
      if (!this.#link.isForgotten(error)) throw error;
      this.#uploadId = undefined;
      this.#sent.fill(0);
      this.#sentBytes = 0;
    }
  }

  #fail(error: unknown): void {
    if (this.#state === "cancelled") return;
    this.#stop.abort();
    this.#problem = error;
    this.#become("failed");
  }

  #become(state: UploadState): void {
    if (this.#state === "cancelled") return;
    this.#state = state;
    if (state !== "failed") this.#problem = undefined;
    this.#onChange();
  }
}
