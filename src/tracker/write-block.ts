// Why this tracker cannot write now, if it cannot: the one place that whoever finds out says so, and that whoever serves,
// links, reports or measures asks. It finds out nothing itself.

/**
 * Reason → what is wrong, and what whoever runs the tracker can do. `mayAnswer`: what it has is right, so that it may be
 * asked where there is no other tracker.
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
    mayAnswer: false, // certificates say a time
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
  /** For that reason too the tracker cannot write from now on. */
  readonly onBegan: (block: WriteBlock) => void;
  /** That reason holds no more; whether another one does, `current` says. */
  readonly onEnded: (reason: WriteBlockReason) => void;
}

export class WriteBlocks {
  readonly #options: WriteBlocksOptions;
  /** Several reasons can hold at a time; the tracker can write when none does. */
  readonly #blocks = new Map<WriteBlockReason, WriteBlock>();

  constructor(options: WriteBlocksOptions) {
    this.#options = options;
  }

  /** The reason that has held longest; undefined while the tracker can write. */
  get current(): WriteBlock | undefined {
    return this.#blocks.values().next().value;
  }

  /** For every reason that holds: what is here is right, and may be told. */
  get mayAnswer(): boolean {
    return [...this.#blocks.values()].every(({ mayAnswer }) => mayAnswer);
  }

  has(reason: WriteBlockReason): boolean {
    return this.#blocks.has(reason);
  }

  /**
   * The tracker cannot write for that reason. Said again, it changes nothing but the sentence.
   *
   * @param sentence where more is known than the reason
   */
  begin(reason: WriteBlockReason, sentence: string = writeBlockReasons[reason].sentence): void {
    const before = this.#blocks.get(reason);
    const { mayAnswer } = writeBlockReasons[reason];
    const block = { reason, sentence, mayAnswer, sinceMs: before?.sinceMs ?? this.#options.nowMs() };
    this.#blocks.set(reason, block);
    if (before === undefined) this.#options.onBegan(block);
  }

  /** That reason holds no more. */
  end(reason: WriteBlockReason): void {
    if (this.#blocks.delete(reason)) this.#options.onEnded(reason);
  }
}
