// Real trackers, killed and cut off at random instants, on hosts of their own; see rounds.ts. A short round here, and as
// many as TORTURE_ROUNDS says in `npm run torture`.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { Network } from "../../harness/network.ts";
import { withoutNetworkNamespaces } from "../../harness/requirements.ts";

const ROUNDS = Number(process.env.TORTURE_ROUNDS ?? 2);
const SEED = Number(process.env.TORTURE_SEED ?? Date.now() % 1_000_000);
const allSizes = process.env.TORTURE_SIZES?.split(",").map(Number) ?? [2, 3, 4, 5];
const sizes = process.env.TORTURE_ROUNDS === undefined ? [3] : allSizes;

for (const [index, size] of sizes.entries()) {
  test(`${size} trackers keep what they promised through ${ROUNDS} rounds of kills and cut cables`, {
    skip: withoutNetworkNamespaces(),
    timeout: 60_000 + ROUNDS * 30_000,
  }, async (context) => {
    using network = new Network(`tt${(process.pid + index) % 10_000}`);
    for (let host = 0; host < size; host++) network.host();
    const { prefix } = network.observer();
    const [command = "", ...rest] = [
      ...prefix,
      process.execPath,
      join(import.meta.dirname, "rounds.ts"),
      ...[network.name, size, ROUNDS, SEED].map(String),
    ];
    const child = spawn(command, rest, {
      stdio: ["ignore", "pipe", "pipe"],
      signal: context.signal,
    });
    child.on("error", () => undefined); // ended by the signal: it exits
    const ended = new Promise((resolve) => child.once("exit", resolve));
    if (process.env.TORTURE_ROUNDS !== undefined) child.stderr.pipe(process.stderr); // how far it has come
    const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const code = await ended;
    context.diagnostic(`seed ${SEED}: ${out.trim()}`);
    assert.equal(code, 0, `seed ${SEED}: ${errors}`);
  });
}
