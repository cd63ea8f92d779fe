// The unit tests by folder: those of a folder share one process, since loading the code takes longer than most tests.
import { globSync } from "node:fs";
import { dirname } from "node:path";

export interface TestGroup {
  readonly name: string;
  readonly files: readonly string[];
}

/** @param root of the checkout; files are relative to it */
export function unitGroups(root: string): TestGroup[] {
  const files = globSync("test/unit/**/*.test.ts", { cwd: root }).sort();
  return [...Map.groupBy(files, (file) => dirname(file))].map(([name, ofFolder]) => ({
    name,
    files: ofFolder,
  }));
}

/** Flags of `node` for the tests of one process. */
export function isolationOf({ files }: TestGroup): readonly string[] {
  return files.length > 1 ? ["--test-isolation=none"] : [];
}
