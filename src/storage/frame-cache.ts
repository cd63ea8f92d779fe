// Parts of pieces in wire form that were read to be sent, for all torrents of a process together: bounded in bytes, what
// was not asked for longest goes first, what is in use never. Buffers are used again, since fresh memory costs page
// faults. Reads of what is being read already wait for that read. Touches no file: the caller says how to read.

import type { MiniTorrentError } from "../api/errors.ts";
import type { FramesCallback, PieceFrames } from "../metainfo/piece-types.ts";

const DEFAULT_LIMIT_BYTES = 32 * 1024 * 1024;

/** What of whom, and how to get it into memory. */
export interface FrameRequest {
  /** Whose it is: its store. */
  readonly owner: object;
  /** Where in the file it begins: an owner's requests that begin at one place are for the same. */
  readonly positionBytes: number;
  readonly framesLengthBytes: number;
  /** At least as long: buffers of one length can be used again. */
  readonly bufferLengthBytes: number;
  /** Fills the bytes; says undefined when done, or why not. */
  load(bytes: Uint8Array, loaded: (error: MiniTorrentError | undefined) => void): void;
}

interface Entry {
  readonly owner: object;
  readonly positionBytes: number;
  readonly buffer: Uint8Array;
  readonly bytes: Uint8Array;
  /** undefined once it is loaded. */
  waiting: FramesCallback[] | undefined;
  userCount: number;
  /** Its owner has forgotten it: its buffer goes back with its last user. */
  isForgotten: boolean;
}

export class FrameCache {
  readonly limitBytes: number;
  readonly #entries = new Map<object, Map<number, Entry>>();
  /** Loaded entries without users, least recently used first. */
  readonly #idle = new Set<Entry>();
  readonly #free = new Map<number, Uint8Array[]>();
  /** Requests that no buffer could be had for, in order. */
  #queue: { request: FrameRequest; done: FramesCallback }[] = [];
  #heldBytes = 0;
  #readCount = 0;

  /** @param limitBytes most bytes of all buffers; one is let in whatever its size */
  constructor(limitBytes: number = DEFAULT_LIMIT_BYTES) {
    this.limitBytes = limitBytes;
  }

  /** Bytes of all buffers, used or not. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** How many reads were asked for so far. */
  get readCount(): number {
    return this.#readCount;
  }

  /** Calls `done` once, maybe at once: with the piece, which the caller releases, or with why it could not be read. */
  read(request: FrameRequest, done: FramesCallback): void {
    this.#readCount++;
    const entry = this.#entries.get(request.owner)?.get(request.positionBytes);
    if (entry?.waiting !== undefined) {
      entry.waiting.push(done);
    } else if (entry !== undefined) {
      this.#hand(entry, done);
    } else if (this.#queue.length > 0 || !this.#load(request, done)) {
      this.#queue.push({ request, done });
    }
  }

  /**
   * Drops what is cached of that owner, and refuses its requests that no buffer could be had for. Pieces in use stay
   * valid until they are released; reads that run come to their end.
   */
  forget(owner: object, reason: MiniTorrentError): void {
    const entries = this.#entries.get(owner) ?? new Map<number, Entry>();
    this.#entries.delete(owner);
    for (const entry of entries.values()) {
      entry.isForgotten = true;
      this.#putAside(entry);
    }
    const refused = this.#queue.filter(({ request }) => request.owner === owner);
    this.#queue = this.#queue.filter(({ request }) => request.owner !== owner);
    for (const { done } of refused) done(reason);
    this.#serveQueue();
  }

  /** Lets go of what nobody uses: it is read again when it is asked for. */
  release(): void {
    for (const entry of [...this.#idle]) this.#drop(entry);
    while (this.#discardFree());
    this.#free.clear();
  }

  #load(request: FrameRequest, done: FramesCallback): boolean {
    const buffer = this.#obtainBuffer(request.bufferLengthBytes);
    if (buffer === undefined) return false;
    const { owner, positionBytes } = request;
    const entry: Entry = {
      owner,
      positionBytes,
      buffer,
      bytes: buffer.subarray(0, request.framesLengthBytes),
      waiting: [done],
      userCount: 0,
      isForgotten: false,
    };
    const entries = this.#entries.get(owner);
    if (entries === undefined) this.#entries.set(owner, new Map([[positionBytes, entry]]));
    else entries.set(positionBytes, entry);
    request.load(entry.bytes, (error) => this.#loaded(entry, error));
    return true;
  }

  #loaded(entry: Entry, error: MiniTorrentError | undefined): void {
    const waiting = entry.waiting ?? [];
    entry.waiting = undefined;
    if (error !== undefined) {
      this.#drop(entry);
      for (const done of waiting) done(error);
    } else {
      // All are users before the first of them can release it.
      entry.userCount += waiting.length;
      for (const done of waiting) done(this.#frames(entry));
      this.#putAside(entry);
    }
    this.#serveQueue();
  }

  #hand(entry: Entry, done: FramesCallback): void {
    this.#idle.delete(entry);
    entry.userCount++;
    done(this.#frames(entry));
  }

  #frames(entry: Entry): PieceFrames {
    let isReleased = false;
    return {
      bytes: entry.bytes,
      release: () => {
        if (isReleased) return;
        isReleased = true;
        entry.userCount--;
        this.#putAside(entry);
        this.#serveQueue();
      },
    };
  }

  /** An entry without users waits for its next user, or is removed. */
  #putAside(entry: Entry): void {
    if (entry.userCount > 0 || entry.waiting !== undefined) return;
    if (entry.isForgotten) this.#drop(entry);
    else this.#idle.add(entry);
  }

  #drop(entry: Entry): void {
    this.#idle.delete(entry);
    const entries = this.#entries.get(entry.owner);
    if (entries?.get(entry.positionBytes) === entry) {
      entries.delete(entry.positionBytes);
      if (entries.size === 0) this.#entries.delete(entry.owner);
    }
    const free = this.#free.get(entry.buffer.length);
    if (free === undefined) this.#free.set(entry.buffer.length, [entry.buffer]);
    else free.push(entry.buffer);
  }

  #obtainBuffer(lengthBytes: number): Uint8Array | undefined {
    for (;;) {
      const free = this.#free.get(lengthBytes)?.pop();
      if (free !== undefined) return free;
      if (this.#heldBytes + lengthBytes <= this.limitBytes || this.#heldBytes === 0) {
        this.#heldBytes += lengthBytes;
        return new Uint8Array(lengthBytes);
      }
      if (this.#discardFree()) continue;
      const [oldest] = this.#idle;
      if (oldest === undefined) return undefined;
      this.#drop(oldest);
    }
  }

  /** Gives up one free buffer; those of the length that is looked for are used up when this is called. */
  #discardFree(): boolean {
    for (const [lengthBytes, buffers] of this.#free) {
      if (buffers.pop() !== undefined) {
        this.#heldBytes -= lengthBytes;
        return true;
      }
      this.#free.delete(lengthBytes);
    }
    return false;
  }

  #serveQueue(): void {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const { request, done } = next;
      const entry = this.#entries.get(request.owner)?.get(request.positionBytes);
      if (entry?.waiting !== undefined) {
        this.#queue.shift();
        entry.waiting.push(done);
      } else if (entry !== undefined) {
        this.#queue.shift();
        this.#hand(entry, done);
      } else {
        // Out of the queue first: `load` may come back here at once.
        this.#queue.shift();
        if (this.#load(request, done)) continue;
        this.#queue.unshift(next);
        return;
      }
    }
  }
}
