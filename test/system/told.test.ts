// Real processes: nobody waits without being told why, and no script fails without naming the download and the cause.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { z } from "zod";
import type { ClientProcess, EventLine } from "../../harness/processes.ts";
import { withoutMounts } from "../../harness/requirements.ts";
import { downloadUntil, Scene, sha1Of } from "../../harness/scene.ts";
import { SmallDisk } from "../../harness/small-disk.ts";
import { Script } from "../../harness/text-script.ts";
import { until } from "../../harness/within.ts";

const MIB = 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;
const SKEWED_CLOCK = join(import.meta.dirname, "../torture/skewed-clock.ts");
/** Longest between the end of a share and the word of it at the other end. */
const AT_ONCE_MS = 2_000;

const peerSchema = z.object({ userId: z.string(), uploadedBytes: z.number() });

interface Why {
  readonly reason: string;
  readonly notUsed: readonly { readonly userId: string; readonly cause: string; readonly words: string }[];
}

let scene: Scene;
let alice: ClientProcess;

beforeEach(async () => {
  scene = await Scene.open(1);
  alice = await scene.user("alice");
});
afterEach(() => scene[Symbol.asyncDispose]());

const why = async (client: ClientProcess) => (await client.must("why g a.bin")) as Why;
const waits = (client: ClientProcess, reason: RegExp): Promise<EventLine> =>
  client.event((event) => event.event === "download-waiting" && reason.test(String(event.reason)));

/** Bob has some pieces of alice's file, and more come slowly. */
async function halfway(lengthBytes: number): Promise<{ bob: ClientProcess; path: string; sha1: string }> {
  const bob = await scene.user("bob");
  await scene.group("g", alice, { bob });
  const { path, sha1 } = scene.file("alice", "a.bin", lengthBytes);
  await alice.must(`upload_file ${path} g`);
  await alice.must("limit up 1MB/s");
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  await downloadUntil(bob, ({ piecesVerified }) => piecesVerified > 0);
  return { bob, path, sha1 };
}

/** A script in plain text that downloads alice's file, which she shares slowly in the group g. */
async function scriptOf(name: string, ...more: string[]): Promise<Script> {
  scene.file(name, "-", 0);
  const script = new Script(scene, name, ...more);
  script.type(`create_user ${name} pw`, `login ${name} pw`, "join_group g");
  await alice.event((event) => event.event === "join-requested" && event.userId === name);
  await alice.must(`accept_request g ${name}`);
  await script.reads("You are a member of g now");
  script.type(`download_file g a.bin ${scene.path(name)}/`);
  const isServed = async () => {
    const { ok, result } = await alice.run("peers g a.bin");
    return (
      ok &&
      z
        .array(peerSchema)
        .parse(result)
        .some((peer) => peer.userId === name && peer.uploadedBytes > 0)
    );
  };
  await until(isServed, `${name} to get something of the file`);
  return script;
}

async function shareSlowly(lengthBytes: number, rate = "1MB/s"): Promise<string> {
  await alice.must("create_group g");
  const { path } = scene.file("alice", "a.bin", lengthBytes);
  await alice.must(`upload_file ${path} g`);
  await alice.must(`limit up ${rate}`);
  return path;
}

test("after a member stops sharing, the downloader is told at once, parts stay listed, and the download goes on", async () => {
  const { bob, path, sha1 } = await halfway(16 * MIB);
  assert.partialDeepStrictEqual(await alice.must("stop_share g a.bin"), { interrupted: ["bob"] });
  const endedMs = performance.now();
  const told = await waits(bob, /alice is online, but no longer shares it: ask them to share it again/);
  assert.ok(performance.now() - endedMs < AT_ONCE_MS);
  assert.doesNotMatch(String(told.reason), /gone/);
  const { reason, notUsed } = await why(bob);
  assert.match(reason, /alice is online, but no longer shares it/);
  assert.partialDeepStrictEqual(notUsed, [{ userId: "alice", cause: "no-longer-shares" }]);
  assert.partialDeepStrictEqual(await alice.must("list_files g"), [
    { fileName: "a.bin", sharedBy: "", seedersOnline: 0, peersOnline: 1 },
  ]);

  const carol = await scene.user("carol");
  await carol.must("join_group g");
  await alice.must("accept_request g carol");
  await carol.must(`download_file g a.bin ${scene.path("carol")}/`);
  await downloadUntil(carol, ({ piecesVerified }) => piecesVerified > 0);
  await alice.must("limit up off");
  await alice.must(`upload_file ${path} g`);
  for (const client of [bob, carol]) await client.must("wait g a.bin");
  assert.equal(await sha1Of(scene.path("carol", "a.bin")), sha1);
});

test("a source that changed: both ends are told what happened and what to do, and the advice works", async () => {
  const { bob, path } = await halfway(16 * MIB);
  const { sha1 } = scene.file("alice", "a.bin", 16 * MIB);
  const ended = await alice.event((event) => event.event === "share-ended");
  assert.match(
    String(ended.reason),
    /a\.bin changed; upload_file \S+ g shares it as it is now, or stop_share g a\.bin/,
  );
  await waits(bob, /alice is online, but no longer shares it: the file changed on their machine/);
  assert.match((await why(bob)).reason, /ask them to share it again/);
  await alice.must("limit up off");
  await alice.must(`upload_file ${path} g`);
  const failed = await bob.event((event) => event.event === "download-failed");
  assert.match(String(failed.reason), /cancel g a\.bin, then download_file gets the new content/);
  await bob.must("cancel g a.bin");
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  await bob.must("wait g a.bin");
  assert.equal(await sha1Of(scene.path("bob", "a.bin")), sha1);
});

test("when the last seeder leaves, a script says so; --timeout ends its wait, and it exits 1 with the download and the cause", async () => {
  await shareSlowly(16 * MIB);
  using bob = await scriptOf("bob", "--timeout", "6");
  await alice.kill();
  await bob.reads("notice: [D] [g] a.bin  Every member who had it has left: alice is offline.");
  bob.type("wait g a.bin");
  await bob.reads(
    "error TIMED_OUT: [D] [g] a.bin is not complete yet: Every member who had it has left: alice",
  );
  assert.equal(await bob.ends(), 1);
  assert.match(bob.errors, /^error: \[g\] a\.bin is not complete: Every member who had it has left: alice/m);
});

test("a seeder that logs out is named, and the script continues by itself when they are back", async () => {
  await shareSlowly(16 * MIB);
  using bob = await scriptOf("bob", "--timeout", "20");
  await alice.must("logout");
  await bob.reads("Every member who had it has left: alice logged out.");
  await alice.must("login alice correct-horse");
  await alice.must("limit up off");
  assert.equal(await bob.ends(), 0, bob.errors);
});

test("a group that the operator removes, and a membership that the owner ends, end downloads with the cause and the remedy", async () => {
  await shareSlowly(16 * MIB);
  using bob = await scriptOf("bob");
  using carol = await scriptOf("carol");
  await alice.must("remove_member g bob");
  assert.equal(await bob.ends(), 1);
  assert.match(
    bob.errors,
    /^error NOT_A_MEMBER: \[F\] \[g\] a\.bin {2}The owner removed you from g; join_group g asks/m,
  );
  scene.trackers[0]?.child.stdin?.write("remove_group g yes\n");
  assert.equal(await carol.ends(), 1);
  assert.match(
    carol.errors,
    /^error UNKNOWN_GROUP: \[F\] \[g\] a\.bin {2}The group g has ended; cancel g a\.bin/m,
  );
});

test("a sharer who is removed from the group is no longer a member, for whoever waits for them", async () => {
  const bob = await scene.user("bob");
  const carol = await scene.user("carol");
  await scene.group("g", alice, { bob, carol });
  const { path } = scene.file("carol", "a.bin", 16 * MIB);
  await carol.must(`upload_file ${path} g`);
  await carol.must("limit up 1MB/s");
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  await downloadUntil(bob, ({ piecesVerified }) => piecesVerified > 0);
  await alice.must("remove_member g carol");
  await waits(bob, /carol is no longer a member of the group/);
  assert.partialDeepStrictEqual((await why(bob)).notUsed, [{ userId: "carol", cause: "not-a-member" }]);
});

test("an account that the operator removes: the script names the download, although nobody is logged in any more", async () => {
  await shareSlowly(16 * MIB);
  using bob = await scriptOf("bob");
  bob.type("wait g a.bin");
  scene.trackers[0]?.child.stdin?.write("remove_account bob yes\n");
  await bob.reads("The operator of the trackers has removed this account");
  assert.equal(await bob.ends(), 1);
  assert.match(
    bob.errors,
    /^error.*\[g\] a\.bin.*The operator of the trackers has removed this account; ask them/m,
  );
  assert.doesNotMatch(bob.errors, /The owner removed you/);
  assert.doesNotMatch(bob.output, /No download was running/);
});

test("trackers that moved: `why` and the script say that nobody answers, and to look at tracker_info.txt", async () => {
  await shareSlowly(16 * MIB);
  using bob = await scriptOf("bob", "--timeout", "15");
  await scene.trackers[0]?.kill();
  await alice.kill();
  bob.type("why g a.bin");
  await bob.reads("compare tracker_info.txt with the operator's: a tracker may have moved");
  assert.equal(await bob.ends(), 1);
  assert.match(bob.errors, /^error: \[g\] a\.bin is not complete: .*no tracker answers.*tracker_info\.txt/m);
});

test("a machine whose clock is wrong: `why` and the script say so", async () => {
  await shareSlowly(16 * MIB);
  scene.file("bob", "-", 0);
  const clock = scene.path("bob-clock");
  writeFileSync(clock, "0");
  const env = { ...process.env, NODE_OPTIONS: `--import=${SKEWED_CLOCK}`, TORTURE_SKEW_FILE: clock };
  const bob = scene.client("bob", "127.0.0.1:0", { env, arguments: ["--timeout", "4"] });
  await bob.must("create_user bob pw");
  await bob.must("login bob pw");
  await bob.must("join_group g");
  await alice.must("accept_request g bob");
  await bob.must(`download_file g a.bin ${scene.path("bob")}/`);
  await downloadUntil(bob, ({ piecesVerified }) => piecesVerified > 0);
  await bob.must("pause g a.bin");
  // The tracker is met anew by this clock, and certificates made before it are not valid by it.
  writeFileSync(clock, String(DAY_MS));
  await scene.trackers[0]?.kill();
  await scene.startTracker(1);
  await bob.event((event) => event.event === "clock-wrong");
  const resumed = await bob.run("resume g a.bin");
  assert.equal(resumed.code, "CLOCK_WRONG");
  assert.match(resumed.error ?? "", /clock.*set/);
  assert.match((await why(bob)).reason, /clock/);
  assert.equal(await bob.finish(), 1);
});

test("a disk that fills up while a download is paused: resume, `why` and the script name it", {
  skip: withoutMounts(),
}, async () => {
  using disk = new SmallDisk(scene.path("disk"), 32 * MIB);
  await shareSlowly(16 * MIB);
  using bob = await scriptOf("bob");
  bob.type("cancel g a.bin", `download_file g a.bin ${scene.path("disk")}/`, "pause g a.bin");
  await bob.reads("[P] [g] a.bin");
  disk.fillUpTo(MIB);
  bob.type("resume g a.bin", "why g a.bin");
  await bob.reads("error DISK_FULL");
  await bob.reads("Next: it is tried again");
  assert.match(bob.errors, /^error DISK_FULL: \[g\] a\.bin: .*1\.1 MB left, and 16\.8 MB are needed: free/m);
  assert.match(bob.output, /\[g\] a\.bin: .*1\.1 MB left, and 16\.8 MB are needed: free/);
  assert.equal(await bob.ends(), 1);
});
