// Rounds of trouble for real trackers: writers at all of them, kill -9 of one or all at random instants, cables pulled;
// then everything is put right, and each write that somebody was told is done is looked for at every tracker.
// usage: node rounds.ts NETWORK TRACKERS ROUNDS SEED, on the observer's host of that network
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { seededRandom } from "../sim/virtual-clock.ts";
import { Cluster } from "./cluster.ts";
import { ask, Writer } from "./writer.ts";

const WRITERS = 6;
/** Longest that trackers may take to find each other again; a cable that was out for seconds is found mended late. */
const RECONNECT_MS = 20_000;
const CONVERGENCE_MS = 1_000;
/** What no command may be told that another one of the same client, or itself, asked before, did. */
const DONE_TWICE = new Set([
  "GROUP_EXISTS",
  "ALREADY_REQUESTED",
  "ALREADY_A_MEMBER",
  "NOT_A_MEMBER",
  "INTERNAL",
]);

const groupsSchema = z.array(
  z.object({
    groupId: z.string(),
    ownerId: z.string(),
    memberCount: z.number(),
    standing: z.string().optional(),
  }),
);
const membersSchema = z.array(z.object({ userId: z.string() }));

/** What a group must be, as far as it was promised; undefined: nobody can say. */
interface Expected {
  readonly owner: Writer;
  isFounded: boolean | undefined;
  /** Whether the guest is in, asked, or out. */
  guest: "in" | "asked" | "out" | undefined;
  readonly guestUser: Writer;
}

const [network = "", trackers = "2", rounds = "1", seed = "1"] = process.argv.slice(2);
const random = seededRandom(Number(seed));
const pick = (count: number) => Math.floor(random() * count);
await using cluster = new Cluster(network, Number(trackers));
process.once("SIGTERM", () => void cluster[Symbol.asyncDispose]().then(() => process.exit(1)));
await cluster.startAll();
await cluster.converge(RECONNECT_MS);
const writers: Writer[] = [];
for (let number = 0; number < WRITERS; number++)
  writers.push(await Writer.signUp(`user${number}`, cluster, random));
const tally = {
  rounds: 0,
  acknowledged: 0,
  refused: 0,
  unknown: 0,
  retries: 0,
  kills: 0,
  cuts: 0,
  contested: 0,
  slowestAgreementMs: 0,
};
let serial = 0;

for (let round = 1; round <= Number(rounds); round++) {
  const expected = new Map<string, Expected>();
  const contested = new Map<string, Writer[]>();
  let isOver = false;
  const load = writers.map(async (writer, number) => {
    while (!isOver) await someWrites(writer, writers[(number + 1) % WRITERS] ?? writer, expected);
  });
  const race = raceForName(`contested${round}`, contested);
  const trouble = await makeTrouble();
  isOver = true;
  await Promise.all([...load, race]);
  for (let index = 0; index < cluster.size; index++) cluster.mend(index);
  await cluster.startAll();
  const agreementMs = await cluster.converge(RECONNECT_MS);
  tally.slowestAgreementMs = Math.max(tally.slowestAgreementMs, Math.round(agreementMs));
  if (agreementMs > CONVERGENCE_MS)
    throw new Error(`round ${round} (${trouble}): equal only after ${agreementMs} ms`);
  for (let index = 0; index < cluster.size; index++)
    await account(index, expected, contested, `round ${round} (${trouble})`);
  for (const writer of writers) if (random() < 0.5) writer.move();
  tally.rounds++;
}
for (const writer of writers) {
  tally.retries += writer.retries;
  writer.close();
}
console.log(JSON.stringify(tally));

/** Founds a group, lets a guest in and out: each step is noted when it was answered. */
async function someWrites(owner: Writer, guestUser: Writer, all: Map<string, Expected>): Promise<void> {
  const groupId = `g${++serial}`;
  const group: Expected = { owner, guestUser, isFounded: undefined, guest: "out" };
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

/** Everybody asks for one name at once, wherever he is. */
async function raceForName(groupId: string, contested: Map<string, Writer[]>): Promise<void> {
  const winners: Writer[] = [];
  contested.set(groupId, winners);
  await sleep(pick(300));
  await Promise.all(
    writers.map(async (writer) => {
      const answer = await writer.command("groups.create", { groupId });
      if (answer.status === "done") winners.push(writer);
    }),
  );
  tally.contested++;
}

async function makeTrouble(): Promise<string> {
  await sleep(pick(400));
  const kind = pick(5);
  const victim = pick(cluster.size);
  if (kind === 0) {
    await cluster.kill(victim);
    tally.kills++;
    await sleep(pick(400));
    return `kill ${victim}`;
  }
  if (kind === 1) {
    await Promise.all(Array.from({ length: cluster.size }, (_, index) => cluster.kill(index)));
    tally.kills += cluster.size;
    await cluster.startAll();
    return "kill all";
  }
  if (kind === 2) {
    cluster.cut(victim);
    tally.cuts++;
    await sleep(pick(5_000));
    return `cut ${victim}`;
  }
  if (kind === 3) {
    cluster.cut(victim);
    tally.cuts++;
    await sleep(pick(4_000));
    const killed = pick(cluster.size);
    await cluster.kill(killed);
    tally.kills++;
    await sleep(pick(300));
    return `cut ${victim}, kill ${killed}`;
  }
  await cluster.kill(victim);
  tally.kills++;
  await cluster.start(victim);
  return `kill and start ${victim}`;
}

/** Every promise, at that tracker. */
async function account(
  index: number,
  expected: ReadonlyMap<string, Expected>,
  contested: ReadonlyMap<string, Writer[]>,
  when: string,
): Promise<void> {
  const views = new Map<Writer, z.infer<typeof groupsSchema>>();
  for (const writer of writers) {
    const list = await ask(cluster, index, writer.identity, (client) => client.query("groups.list"));
    views.set(writer, groupsSchema.parse(list));
  }
  const seen = (writer: Writer, groupId: string) =>
    views.get(writer)?.find((group) => group.groupId === groupId);
  const fail = (groupId: string, what: string): never => {
    throw new Error(`${when}, tracker ${index + 1}, ${groupId}: ${what}`);
  };
  for (const [groupId, { owner, guestUser, isFounded, guest }] of expected) {
    if (isFounded !== true) continue;
    const group = seen(owner, groupId);
    if (group?.ownerId !== owner.userId)
      fail(groupId, `founded by ${owner.userId}, and is ${JSON.stringify(group)}`);
    const standing = seen(guestUser, groupId)?.standing;
    const is = standing === "member" ? "in" : standing === "requested" ? "asked" : "out";
    if (guest !== undefined && is !== guest) fail(groupId, `its guest should be ${guest}, and is ${is}`);
    if (guest !== "in" && guest !== "out") continue;
    const members = await ask(cluster, index, owner.identity, (client) =>
      client.query("groups.members", { groupId }),
    );
    const isListed = membersSchema.parse(members).some(({ userId }) => userId === guestUser.userId);
    if (isListed !== (guest === "in")) fail(groupId, `its guest is ${isListed ? "" : "not "}listed`);
    if (guest === "out") await mustGetNoCertificate(index, guestUser, groupId, fail);
  }
  for (const [groupId, winners] of contested) {
    const group = seen(writers[0] as Writer, groupId);
    if (winners.length > 0 && group === undefined) fail(groupId, "was given away, and is gone");
    if (trackers === "1" && winners.length > 1) fail(groupId, "was given away twice");
  }
}

async function mustGetNoCertificate(
  index: number,
  guest: Writer,
  groupId: string,
  fail: (groupId: string, what: string) => never,
): Promise<void> {
  const issued = await ask(cluster, index, guest.identity, (client) =>
    client.query("groups.certificate", { groupId }),
  ).then(
    () => true,
    () => false,
  );
  if (issued) fail(groupId, "somebody who was removed got a certificate");
}
