// A long wire: a process that takes TCP connections and carries their bytes on to another address, each byte later by
// half the round trip, and no more of them a second than the wire carries. What the wire cannot take yet waits in a
// buffer as large as a router's; past it the sender is not read. There is no loss.
//
//   relay.ts LISTEN_PORT TARGET_HOST TARGET_PORT ROUND_TRIP_MS MEGABITS    tells its parent the port when it listens
import { connect, createServer, type Socket } from "node:net";

/** How long a byte waits for the wire at the most: a sender that is faster fills this, then slows down. */
const BUFFER_MS = 40;
/** What a receiver leaves unread before the wire stands still for it. */
const UNREAD_BYTES = 16 * 1024 * 1024;
const TURN_MS = 1;

const [listenPort = "0", targetHost = "", targetPort = "", roundTripText = "", megabitsText = ""] =
  process.argv.slice(2);
const delayMs = Number(roundTripText) / 2;
const bytesPerMs = (Number(megabitsText) * 1e6) / 8 / 1000;

interface Underway {
  readonly bytes: Buffer;
  readonly arrivesAtMs: number;
}

/** One direction of one connection. */
class Wire {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #underway: Underway[] = [];
  #freeAtMs = 0;
  #hasEnded = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket) {
    this.#from = from;
    this.#to = to;
    from.on("data", (bytes: Buffer) => this.#take(bytes));
    from.once("end", () => {
      this.#hasEnded = true;
      this.#turn();
    });
    from.on("error", () => to.destroy());
    from.once("close", () => clearTimeout(this.#timer));
  }

  #take(bytes: Buffer): void {
    const nowMs = performance.now();
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + bytes.length / bytesPerMs;
    this.#underway.push({ bytes, arrivesAtMs: this.#freeAtMs + delayMs });
    if (this.#freeAtMs - nowMs > BUFFER_MS) this.#from.pause();
    this.#timer ??= setTimeout(this.#turn, TURN_MS);
  }

  readonly #turn = (): void => {
    const nowMs = performance.now();
    for (;;) {
      const first = this.#underway[0];
      if (first === undefined || first.arrivesAtMs > nowMs || this.#to.writableLength > UNREAD_BYTES) break;
      this.#underway.shift();
      this.#to.write(first.bytes);
    }
    if (this.#freeAtMs - nowMs <= BUFFER_MS && this.#from.isPaused()) this.#from.resume();
    this.#timer = undefined;
    if (this.#underway.length > 0 || this.#from.isPaused()) this.#timer = setTimeout(this.#turn, TURN_MS);
    else if (this.#hasEnded) this.#to.end();
  };
}

const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
  const far = connect({ host: targetHost, port: Number(targetPort), noDelay: true, allowHalfOpen: true });
  new Wire(near, far);
  new Wire(far, near);
});
server.listen(Number(listenPort), "127.0.0.1", () => {
  const address = server.address();
  process.send?.(typeof address === "object" ? address?.port : undefined);
});
process.once("disconnect", () => process.exit());
