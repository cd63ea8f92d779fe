// The thread of a disk pool: hashes, compares, reads and writes, one job after the other, synchronously. A descriptor in a job
// belongs to the main thread, which closes none while a job uses it; files of folders are opened in the job (folder-worker.ts, scan-worker.ts).
import { createHash, type Hash } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { errnoOf } from "../net/errno.ts";
import { SHORT_READ } from "./disk-errors.ts";
import {
  type DiskAnswer,
  type DiskIo,
  type DiskJob,
  type DiskRequest,
  type DiskResult,
  type FileRange,
  READY,
  type SharedBytes,
  type WriteJob,
} from "./disk-jobs.ts";
import { performInFolder, readFolderFile } from "./folder-worker.ts";
import { hashParts, listFolder, readFiles, statFiles } from "./scan-worker.ts";

/** Read and hash in steps that stay in the core's own cache: 256 KiB is as fast as 1 MiB, 4 MiB is a quarter slower. */
const STEP_BYTES = 256 * 1024;
const NOTHING = new Uint8Array(0);

interface Digest {
  readonly cutBytes: number;
  hash: Hash;
  bytesSinceCut: number;
}

const io: DiskIo = await import(workerData.ioModule);
const stepBuffer = new Uint8Array(STEP_BYTES);
const digests = new Map<number, Digest>();

parentPort?.on("message", ({ jobId, job }: DiskRequest) => {
  let answer: DiskAnswer;
  try {
    answer = { jobId, result: perform(job) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const at = error instanceof Error && "at" in error ? Number(error.at) : undefined;
    answer = { jobId, failure: { code: errnoOf(error), message, ...(at === undefined ? {} : { at }) } };
  }
  parentPort?.postMessage(answer);
});
parentPort?.postMessage(READY);

function perform(job: DiskJob): DiskResult {
  switch (job.kind) {
    case "write": {
      const sha1 = createHash("sha1").update(job.bytes).digest();
      if (!sha1.equals(job.sha1)) return false;
      writeAll(job);
      return true;
    }
    case "hash-range": {
      const hash = createHash("sha1");
      readSteps(job, undefined, (step) => hash.update(step));
      return new Uint8Array(hash.digest());
    }
    case "digest-open":
      digests.set(job.digestId, {
        cutBytes: job.cutBytes,
        hash: createHash("sha1"),
        bytesSinceCut: 0,
      });
      return NOTHING;
    case "digest-memory":
      return feedAll(digest(job.digestId), job.parts);
    case "digest-file": {
      const hashes: Uint8Array[] = [];
      const target = digest(job.digestId);
      readSteps(job, job.into, (step) => hashes.push(feed(target, step)));
      return concat(hashes);
    }
    case "digest-folder-file": {
      const hashes: Uint8Array[] = [];
      const target = digest(job.digestId);
      readFolderFile(job, io, (step) => hashes.push(feed(target, step)));
      return concat(hashes);
    }
    case "digest-files":
      return feed(digest(job.digestId), readFiles(job, io));
    case "hash-parts":
      return hashParts(job);
    case "list-folder":
      return listFolder(job);
    case "stat-files":
      return statFiles(job);
    case "digest-close": {
      const { hash, cutBytes, bytesSinceCut } = digest(job.digestId);
      digests.delete(job.digestId);
      return cutBytes === 0 || bytesSinceCut > 0 ? new Uint8Array(hash.digest()) : NOTHING;
    }
    default:
      return performInFolder(job, io);
  }
}

function digest(digestId: number): Digest {
  const found = digests.get(digestId);
  if (found === undefined) throw new Error(`there is no digest ${digestId}`);
  return found;
}

function feedAll(target: Digest, parts: readonly SharedBytes[]): Uint8Array {
  return concat(parts.map((bytes) => feed(target, bytes)));
}

/** Returns the hashes that the bytes completed. */
function feed(target: Digest, bytes: Uint8Array): Uint8Array {
  const { cutBytes } = target;
  if (cutBytes === 0) {
    target.hash.update(bytes);
    return NOTHING;
  }
  const hashes: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = Math.min(bytes.length, start + cutBytes - target.bytesSinceCut);
    target.hash.update(bytes.subarray(start, end));
    target.bytesSinceCut += end - start;
    start = end;
    if (target.bytesSinceCut === cutBytes) {
      hashes.push(target.hash.digest());
      target.hash = createHash("sha1");
      target.bytesSinceCut = 0;
    }
  }
  return concat(hashes);
}

/** In memory of its own: a view into Node's buffer pool would be sent with the whole pool. */
function concat(hashes: readonly Uint8Array[]): Uint8Array {
  return hashes.length === 0 ? NOTHING : new Uint8Array(Buffer.concat(hashes));
}

/** Reads the range step by step: into `into` if there is one, otherwise over and over into the same buffer. */
function readSteps(
  { fd, positionBytes, lengthBytes }: FileRange,
  into: SharedBytes | undefined,
  use: (step: Uint8Array) => void,
): void {
  for (let done = 0; done < lengthBytes; ) {
    const wanted = Math.min(STEP_BYTES, lengthBytes - done);
    const buffer = into === undefined ? stepBuffer.subarray(0, wanted) : into.subarray(done, done + wanted);
    const count = io.readSync(fd, buffer, 0, wanted, positionBytes + done);
    if (count === 0) throw Object.assign(new Error("the file ended too early"), { code: SHORT_READ });
    use(buffer.subarray(0, count));
    done += count;
  }
}

function writeAll({ bytes, fd, positionBytes }: WriteJob): void {
  for (let done = 0; done < bytes.length; ) {
    const count = io.writeSync(fd, bytes, done, bytes.length - done, positionBytes + done);
    if (count === 0) throw new Error("the disk took no more bytes");
    done += count;
  }
}
