// Passes a client's events to a listener. A client emits events from the moment it opens, before there is a listener:
// earlier events are kept and delivered in order.
import type { ClientEvent } from "../client/status.ts";

export class EventFeed {
  #listener: ((event: ClientEvent) => void) | undefined;
  #pending: ClientEvent[] = [];

  readonly push = (event: ClientEvent): void => {
    if (this.#listener === undefined) this.#pending.push(event);
    else this.#listener(event);
  };

  listen(listener: (event: ClientEvent) => void): void {
    this.#listener = listener;
    for (const event of this.#pending.splice(0)) listener(event);
  }
}
