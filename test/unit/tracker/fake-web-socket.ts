// A client's WebSocket as its tracker sees it, without a network: it keeps what is sent, and says what was done to it.
import { EventEmitter } from "node:events";

export class FakeWebSocket extends EventEmitter {
  readonly OPEN = 1;
  readyState = 1;
  bufferedAmount = 0;
  isPaused = false;
  isTerminated = false;
  closedWith: number | undefined | "nothing" = "nothing";
  closedFor: string | undefined;
  readonly sent: string[] = [];
  /** What the socket calls when it has written what was sent. */
  readonly written: (() => void)[] = [];

  send(text: string, written?: () => void): void {
    this.sent.push(text);
    if (written !== undefined) this.written.push(written);
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  close(code?: number, reason?: string): void {
    this.closedWith = code;
    this.closedFor = reason;
  }

  terminate(): void {
    this.isTerminated = true;
  }
}
