// Folders for tests, demo and benchmarks: so many files of one length, in subfolders of a hundred, with random contents; and
// whether a copy is the same.
import { createHash, randomFillSync } from "node:crypto";
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FILES_IN_A_FOLDER = 100;

export interface TreeShape {
  readonly fileCount: number;
  readonly fileLengthBytes: number;
}

/** Makes the folder and its files. */
export function writeTree(folder: string, { fileCount, fileLengthBytes }: TreeShape): void {
  const bytes = Buffer.alloc(fileLengthBytes);
  for (let index = 0; index < fileCount; index++) {
    const inside = join(folder, `part-${Math.floor(index / FILES_IN_A_FOLDER)}`);
    if (index % FILES_IN_A_FOLDER === 0) mkdirSync(inside, { recursive: true });
    writeFileSync(join(inside, `file-${index}.bin`), randomFillSync(bytes));
  }
}

/** One value for the paths and contents of all files below the folder. */
export function digestOfTree(folder: string): string {
  const digest = createHash("sha1");
  const walk = (path: string, name: string): void => {
    for (const entry of readdirSync(path).sort()) {
      const [inside, insideName] = [join(path, entry), `${name}/${entry}`];
      if (lstatSync(inside).isDirectory()) walk(inside, insideName);
      else digest.update(`${insideName}\0`).update(createHash("sha1").update(readFileSync(inside)).digest());
    }
  };
  walk(folder, "");
  return digest.digest("hex");
}
