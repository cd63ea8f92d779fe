// A small disk of its own for a test: a tmpfs that is filled, made read-only and put right again. Needs root.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export class SmallDisk implements Disposable {
  readonly path: string;

  constructor(path: string, lengthBytes: number) {
    this.path = path;
    mkdirSync(path, { recursive: true });
    mount("-t", "tmpfs", "-o", `size=${lengthBytes}`, "tmpfs", path);
  }

  /** Something else takes all room but that. */
  fillUpTo(roomBytes: number): void {
    const { bavail, bsize } = statfsSync(this.path);
    writeFileSync(this.#ballast, Buffer.alloc(bavail * bsize - roomBytes));
  }

  empty(): void {
    rmSync(this.#ballast);
  }

  /** Fails while a file on it is open for writing. */
  become(how: "ro" | "rw"): void {
    mount("-o", `remount,${how}`, this.path);
  }

  [Symbol.dispose](): void {
    // Lazily: a client that is still ending may have a file open there.
    execFileSync("umount", ["-l", this.path]);
  }

  get #ballast(): string {
    return join(this.path, "ballast");
  }
}

function mount(...args: string[]): void {
  execFileSync("mount", args, { stdio: ["ignore", "ignore", "inherit"] });
}
