// Loaded into a process before anything else (`--import`): on SIGUSR2 it writes what the process holds to the file
// $INSIDE_DIR/<pid>.json, after a collection of garbage. For soak.test.ts.
import { readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { isMainThread } from "node:worker_threads";

const folder = process.env.INSIDE_DIR;
if (isMainThread && folder !== undefined) {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  process.on("SIGUSR2", () => {
    collect();
    const { heapUsed, rss } = process.memoryUsage();
    const timers = process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
    const handles = readdirSync("/proc/self/fd").length;
    const threads = readdirSync("/proc/self/task").length;
    const path = join(folder, `${process.pid}.json`);
    writeFileSync(
      `${path}.new`,
      JSON.stringify({ heapBytes: heapUsed, rssBytes: rss, timers, handles, threads }),
    );
    renameSync(`${path}.new`, path);
  });
}
