// What is said to a client in one turn of the event loop goes out together: one TLS record and one call of the system,
// where each answer and event would cost one of each. What it is does not matter here.

import type { Writable } from "node:stream";
import { soon } from "../../net/timers.ts";

export class WriteCoalescer {
  #held: Writable[] = [];

  /** What is written to that socket from now on waits for the end of this turn. */
  hold(socket: Writable): void {
    if (socket.writableCorked > 0) return;
    socket.cork();
    if (this.#held.push(socket) === 1) soon("sending what was held for a turn", () => this.release());
  }

  /** Writes what is held at once. */
  release(): void {
    const held = this.#held;
    this.#held = [];
    for (const socket of held) {
      try {
        socket.uncork();
      } catch (error) {
        // A failure of this one; the others are still written to.
        socket.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    }
  }
}
