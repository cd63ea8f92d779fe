// Threads of the disk that only write down what they are given: the test answers for them.
import { EventEmitter } from "node:events";
import { type DiskJob, type DiskRequest, type DiskResult, READY } from "../../../src/storage/disk-jobs.ts";
import type { DiskThread } from "../../../src/storage/worker-slot.ts";

export class FakeThread extends EventEmitter implements DiskThread {
  /** Jobs that it was given and has not answered, oldest first. */
  readonly requests: DiskRequest[] = [];
  isTerminated = false;

  postMessage(request: DiskRequest): void {
    this.requests.push(request);
  }

  async terminate(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.isTerminated = true;
  }

  /** Kinds of the jobs that it has. */
  get kinds(): string[] {
    return this.requests.map(({ job }) => job.kind);
  }

  get jobs(): DiskJob[] {
    return this.requests.map(({ job }) => job);
  }

  ready(): void {
    this.emit("message", READY);
  }

  /** Answers the oldest job. */
  answer(result: DiskResult = new Uint8Array(20)): void {
    const request = this.requests.shift();
    if (request === undefined) throw new Error("the thread has no job");
    this.emit("message", { jobId: request.jobId, result });
  }

  /** Refuses the oldest job. */
  refuse(code: string | undefined, message = "made to fail"): void {
    const request = this.requests.shift();
    if (request === undefined) throw new Error("the thread has no job");
    this.emit("message", { jobId: request.jobId, failure: { code, message } });
  }

  die(error?: Error): void {
    if (error !== undefined) this.emit("error", error);
    this.emit("exit", 3);
  }
}
