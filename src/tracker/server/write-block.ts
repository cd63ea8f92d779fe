// Why this tracker cannot write now, if it cannot. Modules that detect a reason report it here; modules that serve, link,
// report or measure read it. It detects nothing itself.
import { MiniTorrentError } from "../../api/errors.ts";

/**
 * Reason → what is wrong, and what the operator can do. `mayAnswer`: its data is right, so that it may be
 * served where there is no other tracker.
 */
const writeBlockReasons = {
  "disk-full": {
    sentence: "the disk of its data directory is full; free space there, and it resumes by itself",
    mayAnswer: true,
  },
  "disk-read-only": {
    sentence: "its data directory is read-only; make it writable, and it resumes by itself",
    mayAnswer: true,
  },
  "disk-failed": {
    sentence: "the disk of its data directory fails; check the disk; it tries again by itself",
    mayAnswer: true,
  },
  clock: {
    sentence: "its machine's clock is wrong; set it, and it resumes by itself",
    mayAnswer: false, // certificates contain times
  },
  "registry-damaged": {
    sentence: "its registry is damaged; it restarts and gets a copy from another tracker if one serves",
    mayAnswer: false,
  },
} as const;
export type WriteBlockReason = keyof typeof writeBlockReasons;

export interface WriteBlock {
  readonly reason: WriteBlockReason;
  readonly sentence: string;
  readonly mayAnswer: boolean;
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
}

/** Is told of each reason that begins or ends. */
export interface WriteBlockWatcher {
  began(block: WriteBlock): void;
  /** `current` returns the remaining reason. */
  ended(reason: WriteBlockReason): void;
}

export class WriteBlocks {
  readonly #nowMs: () => number;
  /** Several reasons may hold at a time; the tracker can write when none does. */
  readonly #blocks = new Map<WriteBlockReason, WriteBlock>();
  #watcher: WriteBlockWatcher | undefined;

  /** @param nowMs the wall clock, milliseconds since 1970 */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Reasons that begin or end from now on are told to it alone. */
  watch(watcher: WriteBlockWatcher): void {
    this.#watcher = watcher;
  }

  /** The reason that has held longest; undefined while the tracker can write. */
  get current(): WriteBlock | undefined {
    return this.#blocks.values().next().value;
  }

  /** True if the data here is right, and may be served, for every current reason. */
  get mayAnswer(): boolean {
    return [...this.#blocks.values()].every(({ mayAnswer }) => mayAnswer);
  }

  /** @throws MiniTorrentError TRACKER_CANNOT_WRITE while a reason holds */
  requireNone(cause?: unknown): void {
    if (this.current === undefined) return;
    const sentence = `This tracker cannot write: ${this.current.sentence}.`;
    throw new MiniTorrentError("TRACKER_CANNOT_WRITE", sentence, { cause });
  }

  has(reason: WriteBlockReason): boolean {
    return this.#blocks.has(reason);
  }

  /**
   * The tracker cannot write for that reason. A repeated call only replaces the sentence.
   *
   * @param sentence a more specific one than the reason's own
   */
  begin(reason: WriteBlockReason, sentence: string = writeBlockReasons[reason].sentence): void {
    const before = this.#blocks.get(reason);
    const { mayAnswer } = writeBlockReasons[reason];
    const block = { reason, sentence, mayAnswer, sinceMs: before?.sinceMs ?? this.#nowMs() };
    this.#blocks.set(reason, block);
    if (before === undefined) this.#watcher?.began(block);
  }

  /** Clears that reason. */
  end(reason: WriteBlockReason): void {
    if (this.#blocks.delete(reason)) this.#watcher?.ended(reason);
  }
}
