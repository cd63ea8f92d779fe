// What a daemon takes while nothing happens: its memory and processor time with 100 shares, before and after a copy of
// 300 MB each way, and after a minute of rest. `bin/node bench/idle-daemon.ts [--mib 300] [--shares 100] [--rest 75]`
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { DaemonUser } from "../harness/daemons.ts";
import { Scene, writeRandomFile } from "../harness/scene.ts";
import { machineCpuSeconds, residentBytesOf, runSecondsOf } from "./process-cost.ts";

const MIB = 1024 * 1024;
const GROUP = "studio";
/** Longer than a daemon keeps what it may need again (a minute). */
const REST_S = 75;
const WATCHED_S = 60;

const { values } = parseArgs({
  options: {
    mib: { type: "string", default: "300" },
    shares: { type: "string", default: "100" },
    rest: { type: "string", default: String(REST_S) },
    watched: { type: "string", default: String(WATCHED_S) },
  },
});
const lengthBytes = Number(values.mib) * MIB;
const watchedS = Number(values.watched);

await using scene = await Scene.open(1);
const users = ["ann", "bob"].map((name) => new DaemonUser(scene.path(name), scene.trackerInfo));
const [ann, bob] = users as [DaemonUser, DaemonUser];
try {
  for (const [name, user] of Object.entries({ ann, bob })) {
    writeFileSync(join(user.home, "password"), "correct-horse\n", { mode: 0o600 });
    await user.must("daemon");
    await user.must("create_user", name, "--password-file", "password");
    await user.must("login", name, "--password-file", "password");
  }
  await ann.must("create_group", GROUP);
  await bob.must("join_group", GROUP);
  await ann.must("accept_request", GROUP, "bob");
  const pids = [await ann.pid(), await bob.pid()];
  await sleep(5_000);
  report("logged in, nothing shared", pids);
  mkdirSync(join(ann.home, "shares"));
  for (let index = 0; index < Number(values.shares); index++) {
    const path = join(ann.home, "shares", `share-${index}.bin`);
    writeRandomFile(path, 100_000);
    await ann.must("share", path, GROUP);
  }
  report(`ann has ${values.shares} shares`, pids);
  await sleep(Number(values.rest) * 1_000);
  report(`after ${values.rest} s of rest`, pids);
  await watch("idle", pids);
  await copy(ann, bob, "there.bin");
  report("after a copy from ann to bob", pids);
  await copy(bob, ann, "back.bin");
  report("after a copy from bob to ann", pids);
  await sleep(Number(values.rest) * 1_000);
  report(`after ${values.rest} s of rest`, pids);
  await watch("idle", pids);
} finally {
  await Promise.all(users.map((user) => user.end()));
}

/** Shares a file, and waits until the other one has it. The copy stays shared. */
async function copy(from: DaemonUser, to: DaemonUser, name: string): Promise<void> {
  const path = join(from.home, name);
  writeRandomFile(path, lengthBytes);
  await from.must("share", path, GROUP);
  await to.must("download", GROUP, name, "./", "--wait");
}

function report(when: string, pids: readonly number[]): void {
  const sizes = pids.map((pid) => `${Math.round(residentBytesOf(pid) / MIB)} MiB`);
  console.log(`${when.padEnd(40)} ann ${sizes[0]}, bob ${sizes[1]}`);
}

/** Processor time in a while without work. */
async function watch(when: string, pids: readonly number[]): Promise<void> {
  const before = machineCpuSeconds();
  const ran = pids.map(runSecondsOf);
  await sleep(watchedS * 1_000);
  const shares = pids.map(
    (pid, index) => `${(((runSecondsOf(pid) - (ran[index] ?? 0)) / watchedS) * 100).toFixed(3)} %`,
  );
  const machine = ((machineCpuSeconds() - before) / watchedS).toFixed(2);
  report(`${when}, ${watchedS} s later`, pids);
  console.log(`${"  of a core".padEnd(40)} ann ${shares[0]}, bob ${shares[1]}; the machine ${machine} cores`);
}
