// A file system that fails on purpose, put into a disk worker. What fails is said in the URL: `?write=ENOSPC` makes every
// write fail, `&after=2` only those after the second, `?read=EIO` every read; `?write=DEATH` ends the thread in the middle
// of the first write of each thread that finds `&once=<path>` not yet there; `?write=NOTHING` takes no byte of a write;
// `?link=EXDEV` makes every link fail; `?read=TOUCH` gives every file another time while it is read.
import fs from "node:fs";
import type { DiskIo } from "../../../src/storage/disk-jobs.ts";

const asked = new URL(import.meta.url).searchParams;
let goodOnes = Number(asked.get("after") ?? 0);

function fail(how: string | null): void {
  if (how === null || how === "NOTHING" || goodOnes-- > 0) return;
  if (how === "DEATH") {
    const once = asked.get("once");
    if (once !== null && fs.existsSync(once)) return;
    if (once !== null) fs.writeFileSync(once, "");
    process.exit(1);
  }
  throw Object.assign(new Error(`${how}: made to fail`), { code: how });
}

export const readSync: DiskIo["readSync"] = (fd, into, offset, lengthBytes, positionBytes) => {
  if (asked.get("read") === "TOUCH") fs.futimesSync(fd, 1, 1);
  else fail(asked.get("read"));
  return fs.readSync(fd, into, offset, lengthBytes, positionBytes);
};

export const writeSync: DiskIo["writeSync"] = (fd, from, offset, lengthBytes, positionBytes) => {
  fail(asked.get("write"));
  if (asked.get("write") === "NOTHING") return 0;
  // A short write, as a disk that is nearly full gives.
  return fs.writeSync(fd, from, offset, Math.min(lengthBytes, 10_000), positionBytes);
};

export const linkSync: DiskIo["linkSync"] = (oldPath, path) => {
  fail(asked.get("link"));
  fs.linkSync(oldPath, path);
};
