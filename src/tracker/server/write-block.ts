// Why this tracker cannot write now, if it cannot. Modules that detect a reason report it here; modules that serve, link,
// report or measure read it. It detects nothing itself.

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

export interface WriteBlocksOptions {
  /** The wall clock, milliseconds since 1970. */
  readonly nowMs: () => number;
  /** Adds a reason why the tracker cannot write. */
  readonly onBegan: (block: WriteBlock) => void;
  /** Clears a reason; `current` returns the remaining one. */
  readonly onEnded: (reason: WriteBlockReason) => void;
}

export class WriteBlocks {
  readonly #options: WriteBlocksOptions;
  /** Several reasons may hold at a time; the tracker can write when none does. */
  readonly #blocks = new Map<WriteBlockReason, WriteBlock>();

  constructor(options: WriteBlocksOptions) {
    this.#options = options;
  }

  /** The reason that has held longest; undefined while the tracker can write. */
  get current(): WriteBlock | undefined {
    return this.#blocks.values().next().value;
  }

  /** True if the data here is right, and may be served, for every current reason. */
  get mayAnswer(): boolean {
    return [...this.#blocks.values()].every(({ mayAnswer }) => mayAnswer);
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
    const block = { reason, sentence, mayAnswer, sinceMs: before?.sinceMs ?? this.#options.nowMs() };
    this.#blocks.set(reason, block);
    if (before === undefined) this.#options.onBegan(block);
  }

  /** Clears that reason. */
  end(reason: WriteBlockReason): void {
    if (this.#blocks.delete(reason)) this.#options.onEnded(reason);
  }
}
