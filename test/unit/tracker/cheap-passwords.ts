// Passwords that cost nothing to check, for tests of what is done with them: argon2 takes 25 ms a time, on purpose.
import { createHash, randomBytes } from "node:crypto";
import { EventEmitter } from "node:events";
import type { Worker } from "node:worker_threads";
import type { Passwords } from "../../../src/tracker/rules/accounts.ts";
import type { PasswordHasherOptions } from "../../../src/tracker/server/password-hasher.ts";
import type { PasswordAnswer, PasswordJob } from "../../../src/tracker/server/password-worker.ts";

function hash(password: string, salt = randomBytes(8).toString("hex")): string {
  return `${salt} ${createHash("sha256").update(`${salt} ${password}`).digest("hex")}`;
}

function verify(hashed: string, password: string): boolean {
  return hash(password, hashed.split(" ")[0]) === hashed;
}

export const cheapPasswords: Passwords = {
  hash: async (password) => hash(password),
  verify: async (hashed, password) => verify(hashed, password),
  verifyNoOne: async () => false,
};

/** Of a hasher whose threads are none: they answer in the next turn of the event loop. */
export const cheapHashing: PasswordHasherOptions = {
  startWorker: () => new CheapThread() as unknown as Worker,
};

class CheapThread extends EventEmitter {
  constructor() {
    super();
    this.#say({ isReady: true });
  }

  postMessage(job: PasswordJob): void {
    if (job.kind === "hash") this.#say({ result: hash(job.password) });
    else this.#say({ result: job.kind === "verify" && verify(job.hash, job.password) });
  }

  async terminate(): Promise<number> {
    return this.emit("exit", 1) ? 1 : 0;
  }

  #say(what: PasswordAnswer | { isReady: true }): void {
    setImmediate(() => this.emit("message", what));
  }
}
