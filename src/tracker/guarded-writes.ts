// Writes of commands and of the tracker itself: refused while this tracker cannot write, and otherwise acknowledged by the other
// trackers too.

import { diskTroubleOf } from "./registry/disk-trouble.ts";
import type { RegistryWriter } from "./registry/registry.ts";
import type { Replication } from "./replication/replication.ts";
import type { ConfirmedWrite } from "./server/procedures.ts";
import type { WriteBlocks } from "./server/write-block.ts";

export interface GuardedWritesOptions {
  readonly replication: Pick<Replication, "write" | "writeAndConfirm">;
  readonly writeBlocks: Pick<WriteBlocks, "current" | "requireNone">;
  /** Compares this machine's clock with what is known; it may begin a block. */
  readonly checkClock: () => void;
  /** host:port of the other trackers. */
  readonly others: () => readonly string[];
  /** A write begins. */
  readonly onWrite: () => void;
}

export class GuardedWrites {
  readonly #options: GuardedWritesOptions;

  constructor(options: GuardedWritesOptions) {
    this.#options = options;
  }

  /** @throws MiniTorrentError TRACKER_CANNOT_WRITE; whatever else Replication.write throws */
  async write<T>(writeId: string, work: (writer: RegistryWriter) => T, isRetry = false): Promise<T> {
    return (await this.writeAndConfirm(writeId, work, isRetry)).result;
  }

  /** The same, and at which trackers the write is not on disk yet. */
  async writeAndConfirm<T>(
    writeId: string,
    work: (writer: RegistryWriter) => T,
    isRetry = false,
  ): Promise<ConfirmedWrite<T>> {
    const { checkClock, onWrite, others, replication, writeBlocks } = this.#options;
    checkClock();
    writeBlocks.requireNone();
    onWrite();
    try {
      const { result, storedAt } = await replication.writeAndConfirm(writeId, work, isRetry);
      return { result, unconfirmedAt: others().filter((name) => !storedAt.has(name)) };
    } catch (error) {
      if (diskTroubleOf(error) !== undefined) writeBlocks.requireNone(error);
      throw error;
    }
  }

  /** A write that follows from other rows. Allowed while the clock is wrong, since it gets a corrected time. */
  writeInside<T>(writeId: string, work: (writer: RegistryWriter) => T): Promise<T> {
    const { replication, writeBlocks } = this.#options;
    const isClockAlone = writeBlocks.current?.reason === "clock";
    return isClockAlone ? replication.write(writeId, work) : this.write(writeId, work);
  }
}
