// What other programs, people and power cuts do to a part file or a finished file, at random but the same for the same seed.
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";

import { atTheSameTime } from "../../harness/scene.ts";

const BLOCK_BYTES = 16 * 1024;

export interface Target {
  readonly partPath: string;
  readonly path: string;
  readonly lengthBytes: number;
}

/** What a disturbance leaves behind. */
export interface Trace {
  readonly what: string;
  /** A file of somebody else's that must be found as it was laid there. */
  readonly foreign?: { readonly path: string; readonly content: Buffer };
  /** The file may have got its name before it was changed: then its bytes say nothing. */
  readonly isLate?: boolean;
  /** A file to be removed in the end. */
  readonly leftover?: string;
}

type Disturbance = (target: Target, random: () => number) => Trace;

/** On a part file, while its download runs or the client is away. */
export const DISTURBANCES: Readonly<Record<string, Disturbance>> = {
  alter: ({ partPath, path, lengthBytes }, random) => ({
    what: "bytes changed",
    isLate: write(partPath, path, (file) => {
      for (let count = 1 + random() * 5; count > 0; count--)
        writeSync(file, "altered", Math.floor(random() * lengthBytes));
    }),
  }),
  "alter, time set back": ({ partPath, path, lengthBytes }, random) => {
    let isLate = false;
    const alter = (): void => {
      isLate = write(partPath, path, (file) => {
        writeSync(file, "altered", Math.floor(random() * lengthBytes));
      });
    };
    try {
      atTheSameTime(partPath, alter);
    } catch {
      // It is gone, or has its name: then that is looked at as for any other change.
      rmSync(`${partPath}-time`, { force: true });
    }
    return { what: "bytes changed, and the time set back", isLate };
  },
  zeros: ({ partPath, path, lengthBytes }, random) => ({
    what: "zeros",
    isLate: write(partPath, path, (file) => {
      const from = Math.floor((random() * lengthBytes) / BLOCK_BYTES) * BLOCK_BYTES;
      const zeros = Buffer.alloc(Math.ceil(random() * (lengthBytes - from)));
      writeSync(file, zeros, 0, zeros.length, from);
    }),
  }),
  truncate: ({ partPath, path, lengthBytes }, random) => ({
    what: "cut short, or made longer",
    isLate: write(partPath, path, (file) => ftruncateSync(file, Math.floor(random() * 1.5 * lengthBytes))),
  }),
  delete: ({ partPath }) => {
    rmSync(partPath, { force: true });
    return { what: "deleted" };
  },
  move: ({ partPath }, random) => {
    const leftover = `${partPath}-moved`;
    try {
      renameSync(partPath, leftover);
    } catch {
      return { what: "not there to be moved" };
    }
    if (random() < 0.5) return { what: "moved", leftover };
    renameSync(leftover, partPath);
    return { what: "moved away and back" };
  },
  replace: ({ partPath, lengthBytes }, random) => {
    const content = Buffer.alloc(random() < 0.5 ? lengthBytes : 9, "precious!");
    const other = `${partPath}-other`;
    writeFileSync(other, content);
    renameSync(other, partPath);
    return { what: "replaced by another file", foreign: { path: partPath, content } };
  },
  "take the name": ({ path }) => {
    if (existsSync(path)) return { what: "the name is taken already" };
    const content = Buffer.from("precious");
    try {
      writeFileSync(path, content, { flag: "wx" });
    } catch {
      return { what: "the name was taken meanwhile" };
    }
    return { what: "another file has the name", foreign: { path, content } };
  },
};

/** Whether the foreign file is as it was laid there. */
export function isUntouched({ path, content }: { path: string; content: Buffer }): boolean {
  return existsSync(path) && readFileSync(path).equals(content);
}

/** Returns whether the file may have got its name before the work was done. */
function write(partPath: string, path: string, work: (file: number) => void): boolean {
  let file: number;
  try {
    file = openSync(partPath, "r+");
  } catch {
    return false;
  }
  try {
    work(file);
    const named = existsSync(path) ? statSync(path) : undefined;
    return named !== undefined && named.ino === fstatSync(file).ino;
  } finally {
    closeSync(file);
  }
}
