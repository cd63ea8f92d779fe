// Lets many jobs run at once, or one alone: it waits for those that run, and later ones wait for it.

export class SharedGate {
  #running = 0;
  #whenIdle: (() => void) | undefined;
  /** The last that asked to be alone; settled when it is over. */
  #alone: Promise<void> = Promise.resolve();
  #isClosed = false;

  /** Runs the job beside others. */
  async together<T>(job: () => Promise<T>): Promise<T> {
    while (this.#isClosed) await this.#alone;
    this.#running++;
    try {
      return await job();
    } finally {
      this.#running--;
      if (this.#running === 0) this.#whenIdle?.();
    }
  }

  /** Runs the job while no other runs. It must not use the gate itself. */
  async alone<T>(job: () => Promise<T>): Promise<T> {
    while (this.#isClosed) await this.#alone;
    this.#isClosed = true;
    let open: () => void = () => undefined;
    this.#alone = new Promise((resolve) => {
      open = resolve;
    });
    try {
      if (this.#running > 0) {
        await new Promise<void>((resolve) => {
          this.#whenIdle = resolve;
        });
      }
      return await job();
    } finally {
      this.#whenIdle = undefined;
      this.#isClosed = false;
      open();
    }
  }
}
