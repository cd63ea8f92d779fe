// A worker thread that hashes passwords one after the other. node:crypto's asynchronous argon2 would occupy libuv's thread
// pool, of which a process has only one, and which signatures and disk I/O need.
import { setPriority } from "node:os";
import { parentPort } from "node:worker_threads";
import { MiniTorrentError } from "../../api/errors.ts";
import { hashPassword, verifyNoOne, verifyPassword } from "../../identity/passwords.ts";

export type PasswordJob =
  | { readonly kind: "hash"; readonly password: string }
  | { readonly kind: "verify"; readonly hash: string; readonly password: string }
  | { readonly kind: "verify-no-one"; readonly password: string };

export type PasswordAnswer = { readonly result: string | boolean } | { readonly fault: string };

/** Posted once, when the thread is ready for jobs. */
export interface PasswordWorkerReady {
  readonly isReady: true;
}

/**
 * On Linux a priority is a thread's: hundreds of passwords in a queue then leave the cores to the threads that answer calls.
 * Elsewhere it would be the whole process's.
 */
const HASHING_PRIORITY = 10;
if (process.platform === "linux") setPriority(HASHING_PRIORITY);

parentPort?.on("message", (job: PasswordJob) => {
  let answer: PasswordAnswer;
  try {
    answer = { result: perform(job) };
  } catch (error) {
    // For example a stored hash that cannot be parsed. The message never contains the password.
    answer = { fault: error instanceof MiniTorrentError ? error.message : String(error) };
  }
  parentPort?.postMessage(answer);
});
parentPort?.postMessage({ isReady: true } satisfies PasswordWorkerReady);

function perform(job: PasswordJob): string | boolean {
  switch (job.kind) {
    case "hash":
      return hashPassword(job.password);
    case "verify":
      return verifyPassword(job.hash, job.password);
    case "verify-no-one":
      return verifyNoOne(job.password);
  }
}
