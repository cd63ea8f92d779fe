// Where the built page is: beside the built code in the package, or in web/ of a checkout, where it is built if it is missing or older
// than its sources.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Logger } from "pino";

const PACKAGED = join(import.meta.dirname, "../page");
const ROOT = join(import.meta.dirname, "../..");
/** Exports `ensurePage`, which builds the page if it must, and returns its folder. */
const BUILDER = join(ROOT, "harness/page-build.ts");

/** Never fails: if the page cannot be built, what is there is served. */
export async function findPage(log: Logger): Promise<string> {
  if (existsSync(PACKAGED)) return PACKAGED;
  if (existsSync(BUILDER)) {
    try {
      const { ensurePage } = (await import(pathToFileURL(BUILDER).href)) as {
        ensurePage: () => Promise<string>;
      };
      return await ensurePage();
    } catch (error) {
      log.warn({ err: error }, "the page cannot be built");
    }
  }
  return join(ROOT, "web/dist");
}
