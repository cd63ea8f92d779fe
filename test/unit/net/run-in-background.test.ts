import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { runInBackground } from "../../../src/net/run-in-background.ts";

test("work that nobody waits for is logged when it fails, with what it was, and ends nothing", async () => {
  const logged: { level: number; msg: string; err?: { message: string } }[] = [];
  const log = pino({}, { write: (line: string) => void logged.push(JSON.parse(line)) });
  runInBackground(log, "telling the tracker", Promise.reject(new Error("no route")));
  runInBackground(log, "looking for peers", Promise.resolve());
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    logged.map(({ level, msg, err }) => [level, msg, err?.message]),
    [[50, "telling the tracker failed", "no route"]],
  );
});
