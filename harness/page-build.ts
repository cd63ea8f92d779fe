// Builds the page (web/) where it is missing or older than its sources, in seconds. Run as a program, it prints the folder; with a
// path as argument it puts a copy there: `npm run build` gives the package its page that way.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const ROOT = join(import.meta.dirname, "..");
const WEB = join(ROOT, "web");
const BUILT = join(WEB, "dist");
/** Hash of the sources that a build was made from. */
const STAMP = ".sources";
const SOURCES = [
  "web/{src,build}/**/*.*",
  "web/*.{html,json,ts}",
  "src/api/*.ts",
  "src/daemon/{endpoints,status-schemas}.ts",
  "package-lock.json",
];
const BUILD_TIMEOUT_MS = 120_000;

/**
 * The folder of the built page: index.html, and assets with their hashes in their names, each with .br and .gz beside it.
 *
 * @throws Error with the output of the build, if it fails
 */
export async function ensurePage(): Promise<string> {
  const stamp = hashOfSources();
  if (stampIn(BUILT) === stamp) return BUILT;
  // Several may build at once: each does in a folder of its own, and the first that is done puts it into place.
  const made = join(WEB, `dist.${process.pid}`);
  try {
    await build(made);
    writeFileSync(join(made, STAMP), stamp);
    replace(BUILT, made, stamp);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  return BUILT;
}

async function build(folder: string): Promise<void> {
  const vite = join(ROOT, "node_modules/vite/bin/vite.js");
  const command = [vite, "build", WEB, "--configLoader", "native", "--outDir", folder, "--logLevel", "warn"];
  try {
    await promisify(execFile)(process.execPath, command, { cwd: WEB, timeout: BUILD_TIMEOUT_MS });
  } catch (error) {
    const { stderr = "" } = error as { stderr?: string };
    throw new Error(`The page cannot be built: ${stderr || String(error)}`, { cause: error });
  }
}

/** Puts `made` in the place of `built`; a reader sees one or the other, or for a moment none. */
function replace(built: string, made: string, stamp: string): void {
  const old = `${made}.old`;
  try {
    renameSync(built, old);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  try {
    renameSync(made, built);
  } catch (error) {
    // Another process was faster.
    if (stampIn(built) !== stamp) throw error;
  } finally {
    rmSync(old, { recursive: true, force: true });
  }
}

function hashOfSources(): string {
  const hash = createHash("sha256");
  for (const path of globSync(SOURCES, { cwd: ROOT }).sort()) {
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(ROOT, path)))
      .update("\0");
  }
  return hash.digest("hex");
}

function stampIn(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, STAMP), "utf8");
  } catch {
    return undefined;
  }
}

if (import.meta.main) {
  const [copy] = process.argv.slice(2);
  const folder = await ensurePage();
  if (copy !== undefined) {
    rmSync(copy, { recursive: true, force: true });
    cpSync(folder, copy, { recursive: true });
  }
  console.log(copy ?? folder);
}
