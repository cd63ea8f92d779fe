// Why this tracker cannot write now, if it cannot: the one place that whoever finds out says so, and that whoever serves,
// links, reports or measures asks. It finds out nothing itself.

/** Reason → what is wrong, and what whoever runs the tracker can do. */
export const writeBlockSentences = {
  "disk-full": "the disk of its data directory is full: make room there, and it goes on by itself",
  "disk-read-only": "its data directory is read-only: make it writable, and it goes on by itself",
  "disk-failed": "the disk of its data directory fails: look at the disk; it tries again by itself",
  clock: "its machine's clock is wrong: set it, and it goes on by itself",
} as const;
export type WriteBlockReason = keyof typeof writeBlockSentences;

export interface WriteBlock {
  readonly reason: WriteBlockReason;
  readonly sentence: string;
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
}

export interface WriteBlocksOptions {
  /** The wall clock, milliseconds since 1970. */
  readonly nowMs: () => number;
  /** The tracker cannot write from now on, for another reason than before, or (undefined) it can again. */
  readonly onChanged: (current: WriteBlock | undefined) => void;
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

  has(reason: WriteBlockReason): boolean {
    return this.#blocks.has(reason);
  }

  /**
   * The tracker cannot write for that reason. Said again, it changes nothing but the sentence.
   *
   * @param sentence where more is known than the reason
   */
  begin(reason: WriteBlockReason, sentence: string = writeBlockSentences[reason]): void {
    const before = this.current;
    const sinceMs = this.#blocks.get(reason)?.sinceMs ?? this.#options.nowMs();
    this.#blocks.set(reason, { reason, sentence, sinceMs });
    if (before === undefined) this.#options.onChanged(this.current);
  }

  /** That reason holds no more. */
  end(reason: WriteBlockReason): void {
    const before = this.current;
    if (this.#blocks.delete(reason) && this.current !== before) this.#options.onChanged(this.current);
  }
}
