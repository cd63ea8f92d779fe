// Rounds of trouble for real trackers, also with clocks that are wrong: writers at all of them, kill -9 of one or all
// at random instants, cables pulled, processes frozen, old disks brought back; then everything is put right, and each write that somebody
// was told is done, in that round or an earlier one, is looked for at every tracker.
// usage: node rounds.ts NETWORK TRACKERS ROUNDS SEED, on the observer's host of that network
import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "../sim/virtual-clock.ts";
import { Cluster } from "./cluster.ts";
import { type Circumstances, Contest } from "./contest.ts";
import { checkListed, checkMembers, type Promised, type Promises, viewsAt } from "./promises.ts";
import { tellOfRemoval } from "./removal.ts";
import { Tally } from "./tally.ts";
import { GIVE_UP_MS, Writer } from "./writer.ts";

const WRITERS = 6;
/** Longest that trackers may take to find each other again; a cable that was out for seconds is found mended late. */
const RECONNECT_MS = 20_000;
/** A short run shares its machine with other tests, and says nothing about speed. */
const CONVERGENCE_MS = process.env.TORTURE_ROUNDS === undefined ? 10_000 : 1_000;
const PROGRESS_INTERVAL_MS = 30_000;
/** What no command may be told that another one of the same client, or itself, asked before, did. */
const DONE_TWICE = new Set([
  "GROUP_EXISTS",
  "ALREADY_REQUESTED",
  "ALREADY_A_MEMBER",
  "NOT_A_MEMBER",
  "INTERNAL",
]);

interface Trouble {
  readonly name: string;
  readonly circumstances: Circumstances;
  /** Whose disk is an old one now. */
  readonly restored?: number;
}

const [network = "", trackers = "2", rounds = "1", seed = "1"] = process.argv.slice(2);
const random = seededRandom(Number(seed));
const pick = (count: number) => Math.floor(random() * count);
await using cluster = new Cluster(network, Number(trackers), random);
process.once("SIGTERM", () => void cluster[Symbol.asyncDispose]().then(() => process.exit(1)));
await cluster.startAll();
await cluster.converge(RECONNECT_MS);
const writers: Writer[] = [];
for (let number = 0; number < WRITERS; number++)
  writers.push(await Writer.signUp(`user${number}`, cluster, random));
const tally = new Tally();
const earlier: Promises = new Map();
let serial = 0;
let toldMs = performance.now();

for (let round = 1; round <= Number(rounds); round++) {
  await runRound(round);
  tally.rounds++;
  if (performance.now() - toldMs < PROGRESS_INTERVAL_MS) continue;
  toldMs = performance.now();
  console.error(`${trackers} trackers: ${round} of ${rounds} rounds, ${tally.acknowledged} writes done`);
}
for (const writer of writers) {
  tally.retries += writer.retries;
  writer.close();
}
console.log(JSON.stringify(tally));

async function runRound(round: number): Promise<void> {
  const promises: Promises = new Map();
  const contest = new Contest(`contested${round}`);
  await Promise.all(writers.map((writer) => writer.settle()));
  let isOver = false;
  const load = writers.map(async (writer, number) => {
    while (!isOver) await someWrites(writer, writers[(number + 1) % WRITERS] ?? writer, promises);
  });
  const race = sleep(pick(300)).then(() => contest.run(writers));
  const trouble = await makeTrouble(round);
  isOver = true;
  await Promise.all([...load, race]);
  tally.contested++;
  for (let index = 0; index < cluster.size; index++) cluster.mend(index);
  await cluster.startAll();
  const isNew = trouble.restored === undefined || (await cluster.isNewIncarnation(trouble.restored));
  const { agreementMs, reunionMs } = await cluster.converge(RECONNECT_MS);
  tally.slowestAgreementMs = Math.max(tally.slowestAgreementMs, Math.round(agreementMs));
  tally.slowestReunionMs = Math.max(tally.slowestReunionMs, Math.round(reunionMs));
  const when = `round ${round} (${trouble.name})`;
  if (!isNew) throw new Error(`${when}: an old disk was not given a new origin`);
  if (agreementMs > CONVERGENCE_MS) throw new Error(`${when}: equal only after ${agreementMs} ms`);
  for (let index = 0; index < cluster.size; index++) {
    const fail = (groupId: string, what: string): never => {
      throw new Error(`${when}, tracker ${index + 1}, ${groupId}: ${what}`);
    };
    const views = await viewsAt(cluster, index, writers);
    checkListed(views, earlier, fail, tally);
    checkListed(views, promises, fail, tally);
    await checkMembers(cluster, index, promises, fail);
    const groups = views.values().next().value;
    contest.check(groups, trouble.circumstances, fail);
    if (index === 0) await contest.checkTold(groups, fail, tally);
  }
  for (const [groupId, promised] of promises) earlier.set(groupId, promised);
  for (const writer of writers) {
    writer.events.length = 0;
    if (random() < 0.5) writer.move();
  }
}

/** Founds a group, lets a guest in and out: each step is noted when it was answered. */
async function someWrites(owner: Writer, guestUser: Writer, all: Promises): Promise<void> {
  const groupId = `g${++serial}`;
  const group: Promised = { owner, guestUser, isFounded: undefined, guest: "out" };
  all.set(groupId, group);
  if (!(await done(owner, "groups.create", { groupId }))) return;
  group.isFounded = true;
  const steps = [
    [guestUser, "groups.join", { groupId }, "asked"],
    [owner, "groups.accept", { groupId, userId: guestUser.userId }, "in"],
    [owner, "groups.remove", { groupId, userId: guestUser.userId }, "out"],
  ] as const;
  for (const [writer, path, input, becomes] of steps.slice(0, 1 + pick(3))) {
    const before = group.guest;
    group.guest = undefined;
    const answer = await done(writer, path, input);
    if (answer === undefined) return;
    group.guest = answer ? becomes : before;
    if (!answer) return;
  }
}

/** True: done; false: refused; undefined: nobody knows. */
async function done(
  writer: Writer,
  path: string,
  input: Record<string, string>,
): Promise<boolean | undefined> {
  const answer = await writer.command(path, input);
  if (answer.status === "done") tally.acknowledged++;
  if (answer.status === "unknown") tally.unknown++;
  if (answer.status !== "refused") return answer.status === "done" ? true : undefined;
  tally.refused++;
  if (DONE_TWICE.has(answer.code)) {
    throw new Error(`${path} ${JSON.stringify(input)} by ${writer.userId}: ${answer.code}`);
  }
  // The first tracker may have done it before it died, and the second not know what it is about.
  return answer.wasRetry ? undefined : false;
}

async function makeTrouble(round: number): Promise<Trouble> {
  await sleep(pick(400));
  const victim = pick(cluster.size);
  // A short run has one of each of the kinds that show most; a long one gets to all of them many times.
  const kind = round <= 2 ? round - 1 : pick(8);
  switch (kind) {
    case 0: {
      tally.calmRounds++;
      const tookMs = await tellOfRemoval(writers, cluster, `shown${round}`);
      tally.removalsTold++;
      tally.slowestRemovalMs = Math.max(tally.slowestRemovalMs, Math.ceil(tookMs));
      return { name: "calm", circumstances: "calm" };
    }
    case 1: {
      cut(victim);
      await sleep(pick(4_000));
      const killed = pick(cluster.size);
      await kill(killed);
      await sleep(pick(300));
      return { name: `cut ${victim}, kill ${killed}`, circumstances: "apart" };
    }
    case 2:
      await kill(victim);
      if (!cluster.hasBackup(victim)) cluster.backUp(victim);
      await sleep(pick(400));
      return { name: `kill ${victim}`, circumstances: "one-died" };
    case 3:
      await Promise.all(Array.from({ length: cluster.size }, (_, index) => kill(index)));
      await cluster.startAll();
      return { name: "kill all", circumstances: "apart" };
    case 4:
      cut(victim);
      await sleep(pick(5_000));
      return { name: `cut ${victim}`, circumstances: "apart" };
    case 5:
      await kill(victim);
      cluster.backUp(victim);
      await cluster.start(victim);
      return { name: `kill and start ${victim}`, circumstances: "one-died" };
    case 6: {
      const durationMs = GIVE_UP_MS + pick(3_000);
      await cluster.freeze(victim, durationMs);
      tally.freezes++;
      return { name: `freeze ${victim} for ${durationMs} ms`, circumstances: "apart" };
    }
    default: {
      await kill(victim);
      if (!cluster.hasBackup(victim)) {
        cluster.backUp(victim);
        return { name: `kill and copy ${victim}`, circumstances: "one-died" };
      }
      // What it has acknowledged since that copy is on the other disks: all were connected when it was killed.
      cluster.restore(victim);
      await cluster.start(victim);
      tally.oldDisks++;
      return { name: `old disk at ${victim}`, circumstances: "one-died", restored: victim };
    }
  }
}

async function kill(index: number): Promise<void> {
  if (cluster.isUp(index)) tally.kills++;
  await cluster.kill(index);
}

function cut(index: number): void {
  cluster.cut(index);
  tally.cuts++;
}
