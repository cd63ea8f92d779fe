// The page, with something on it: two trackers and four members with daemons of their own on loopback, folders and files on their
// way between them for some minutes, and a link to the first member's page. Runs until Ctrl-C, which removes everything.
//
//   npm run demo:web [-- --shares N] [-- --files N]
//
// `--shares 10000` gives a group so many shares, `--files 100000` one of them so many files.
import { linkSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs, styleText } from "node:util";
import { DaemonScene, downloadUntil, inHome, PASSWORD } from "../harness/daemon-scene.ts";
import { ensurePage } from "../harness/page-build.ts";
import { pngPicture, wavSound } from "../harness/sample-media.ts";
import { writeRandomFile } from "../harness/scene.ts";
import { writeTree } from "../harness/trees.ts";

const MIB = 1024 * 1024;
/** Slow enough for some minutes, in bytes a second. */
const UPLOAD_LIMITS = { alice: 1_200_000, bob: 700_000, carol: 900_000, dave: 6_000_000 } as const;
type MemberName = keyof typeof UPLOAD_LIMITS;
const MEMBERS = Object.keys(UPLOAD_LIMITS) as MemberName[];
const TAKES = 8;
const TAKE_BYTES = 36 * MIB;
const STILLS = 60;
/** dave stops sharing when alice has this part, so that one download is stalled. */
const STALLS_AT = 0.4;
const PAUSED_AT_BYTES = 3 * MIB;
/** Small, since there are many of them. */
const MANY_FILES_BYTES = 16;

const { values } = parseArgs({ options: { shares: { type: "string" }, files: { type: "string" } } });
const [shareCount, fileCount] = [Number(values.shares ?? 0), Number(values.files ?? 0)];

const heading = (text: string) => console.log(`\n${styleText("bold", text)}`);
const say = (text: string) => console.log(`  ${text}`);

async function run(demo: DaemonScene): Promise<void> {
  heading("Four members start, each with a daemon of their own on this machine");
  await Promise.all([ensurePage(), ...MEMBERS.map((name) => demo.member(name))]);
  for (const name of MEMBERS) {
    const limit = { direction: "up", bytesPerSecond: UPLOAD_LIMITS[name] } as const;
    await demo.user(name).api.call("limit", limit);
  }
  await demo.group("studio", "alice", "bob", "carol", "dave");
  await demo.group("photography", "bob", "alice", "carol");
  await demo.group("research", "carol", "dave");
  await demo.group("design", "alice", "bob");
  await demo.user("dave").api.call("joinGroup", { groupId: "design" });
  say("alice owns the groups studio and design; dave asks to join design");

  heading("They share folders and files with each other");
  await shareEverything(demo);
  await downloadEverything(demo);
  if (fileCount > 0) {
    const folder = inHome(demo.user("bob"), "dataset");
    writeTree(folder, { fileCount, fileLengthBytes: MANY_FILES_BYTES });
    await share(demo, "bob", "studio", "dataset");
    say(`the folder dataset in studio has ${fileCount} files`);
  }
  if (shareCount > 0) {
    await demo.fillGroup("photography", "bob", shareCount);
    say(`the group photography has ${shareCount} shares more`);
  }

  heading("alice's page is open for one browser");
  const { url } = await demo.user("alice").api.call("createLink", {});
  say(styleText("underline", url));
  say(`Their password, should the page ask for one: ${PASSWORD}. ${styleText("bold", "Ctrl-C")} ends all.`);
}

async function shareEverything(demo: DaemonScene): Promise<void> {
  const at = (name: MemberName, ...parts: string[]) => inHome(demo.user(name), ...parts);
  const { alice, bob, carol, dave } = {
    alice: at("alice", "Footage"),
    bob: at("bob", "Footage"),
    carol: at("carol", "Footage"),
    dave: at("dave", "Footage"),
  };
  for (const folder of [alice, bob, carol, dave]) mkdirSync(folder, { recursive: true });
  makeFootage(join(alice, "day-1"), 6);
  makeFootage(join(bob, "day-2"), TAKES);
  linkFolder(join(bob, "day-2"), join(carol, "day-2"));
  writeRandomFile(join(dave, "master-cut.mov"), 64 * MIB);
  writeRandomFile(join(carol, "b-roll.mov"), 48 * MIB);
  mkdirSync(join(alice, "sound"));
  writeFileSync(join(alice, "sound", "theme.wav"), wavSound(20));
  writeFileSync(join(alice, "shot-list.txt"), SHOT_LIST);
  mkdirSync(join(bob, "portraits"));
  for (let number = 1; number <= 12; number++) {
    const picture = pngPicture(480, 320, number);
    writeFileSync(join(bob, "portraits", `portrait-${String(number).padStart(2, "0")}.png`), picture);
  }
  writeFileSync(join(carol, "soundtrack.wav"), wavSound(300));
  writeFileSync(join(carol, "release-notes.txt"), SHOT_LIST);
  await Promise.all([
    share(demo, "alice", "studio", "Footage/day-1"),
    share(demo, "alice", "design", "Footage/sound"),
    share(demo, "alice", "studio", "Footage/shot-list.txt"),
    share(demo, "bob", "studio", "Footage/day-2"),
    share(demo, "bob", "photography", "Footage/portraits"),
    share(demo, "carol", "photography", "Footage/soundtrack.wav"),
    share(demo, "carol", "studio", "Footage/b-roll.mov"),
    share(demo, "carol", "studio", "Footage/release-notes.txt"),
    share(demo, "dave", "studio", "Footage/master-cut.mov"),
  ]);
  await share(demo, "carol", "studio", "Footage/day-2");
  say("in studio there are day-1 of alice, day-2 of bob and carol, and single files");
}

async function downloadEverything(demo: DaemonScene): Promise<void> {
  const alice = demo.user("alice");
  const stalled = { groupId: "studio", fileName: "master-cut.mov" };
  await download(demo, "alice", stalled.groupId, stalled.fileName);
  await downloadUntil(
    alice,
    stalled,
    ({ bytesVerified, lengthBytes }) => bytesVerified > STALLS_AT * lengthBytes,
  );
  await demo.user("dave").api.call("stopShare", stalled);
  await download(demo, "alice", "studio", "release-notes.txt");
  await download(demo, "alice", "photography", "portraits");
  await downloadUntil(
    alice,
    { groupId: "photography", fileName: "portraits" },
    ({ state }) => state === "complete",
  );
  await download(demo, "alice", "studio", "b-roll.mov");
  await download(demo, "alice", "photography", "soundtrack.wav");
  await download(demo, "alice", "studio", "day-2");
  for (const name of ["bob", "carol", "dave"] as const) await download(demo, name, "studio", "day-1");
  await downloadUntil(
    alice,
    { groupId: "studio", fileName: "b-roll.mov" },
    ({ bytesVerified }) => bytesVerified > PAUSED_AT_BYTES,
  );
  await alice.api.call("pauseDownload", { groupId: "studio", fileName: "b-roll.mov" });
  say("alice downloads day-2 from both; the others download her day-1 from her and from each other");
  say("dave has stopped sharing master-cut.mov, for which alice waits; she has paused b-roll.mov");
}

async function share(demo: DaemonScene, name: MemberName, groupId: string, path: string): Promise<void> {
  const user = demo.user(name);
  await user.api.call("uploadFile", { groupId, path: inHome(user, path) });
}

async function download(
  demo: DaemonScene,
  name: MemberName,
  groupId: string,
  fileName: string,
): Promise<void> {
  const user = demo.user(name);
  const folder = inHome(user, "miniTorrent");
  mkdirSync(folder, { recursive: true });
  const destinationPath = join(folder, fileName);
  await user.api.call("downloadFile", {
    groupId,
    fileName,
    destinationPath,
    only: undefined,
    except: undefined,
  });
}

function makeFootage(folder: string, takeCount: number): void {
  for (const part of ["takes", "stills"]) mkdirSync(join(folder, part), { recursive: true });
  for (let number = 1; number <= takeCount; number++) {
    writeRandomFile(join(folder, "takes", `take-${number}.mov`), TAKE_BYTES);
  }
  for (let number = 1; number <= STILLS; number++) {
    writeFileSync(join(folder, "stills", `still-${number}.png`), pngPicture(96, 64, number));
  }
  writeFileSync(join(folder, "shot-list.txt"), SHOT_LIST);
}

/** The same files at a second place, without the room for them. */
function linkFolder(from: string, to: string): void {
  mkdirSync(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) linkFolder(source, target);
    else linkSync(source, target);
  }
}

const SHOT_LIST = `Day 2, shot list

 1  Harbour at dawn, wide
 2  The boat leaves, from the pier
 3  Hands on the rope, close
 4  The crossing, from the mast
`.repeat(20);

const demo = await DaemonScene.open(2);
let isEnding = false;
const end = async (code: number): Promise<void> => {
  if (isEnding) return;
  isEnding = true;
  await demo[Symbol.asyncDispose]();
  console.log("\nStopped; the processes are ended and the temporary folder is removed.");
  process.exit(code);
};
process.once("SIGINT", () => void end(130));
process.once("SIGTERM", () => void end(143));
const stays = setInterval(() => undefined, 1_000_000);
try {
  await run(demo);
} catch (error) {
  if (!isEnding) {
    console.error(
      styleText("red", `The demo failed: ${error instanceof Error ? error.message : String(error)}`),
    );
    clearInterval(stays);
    await end(1);
  }
}
