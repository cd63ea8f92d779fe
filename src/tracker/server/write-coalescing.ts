// Sends all that is written to a client in one turn of the event loop together: one TLS record and one system call, instead of
// one of each for every answer and event.

import type { Writable } from "node:stream";
import { soon } from "../../net/timers.ts";

export class WriteCoalescer {
  #held: Writable[] = [];

  /** Holds back writes to that socket until the end of this turn. */
  hold(socket: Writable): void {
    if (socket.writableCorked > 0) return;
    socket.cork();
    if (this.#held.push(socket) === 1) soon("sending what was held for a turn", () => this.release());
  }

  /** Sends what is held back. */
  release(): void {
    const held = this.#held;
    this.#held = [];
    for (const socket of held) {
      try {
        socket.uncork();
      } catch (error) {
        // This socket failed; the others are still released.
        socket.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    }
  }
}
