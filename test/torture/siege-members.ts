// The members of a besieged studio, as a process of their own, so that what they measure is the trackers and not the
// strangers beside them: 200 devices that list, share, stop, announce and ask for certificates at a person's pace.
// It is forked by siege.test.ts, and answers it with what was measured and what the trackers acknowledged.
import { randomInt, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { ApiClient, Refusal } from "../../harness/api-client.ts";
import { parseAddress } from "../../src/api/addresses.ts";
import { groupCertificateSchema } from "../../src/api/schemas.ts";
import { createDeviceIdentity, type DeviceIdentity } from "../../src/identity/certificates.ts";
import { encodeMetainfo } from "../../src/metainfo/metainfo.ts";

/** A person's pace: one command in so long, on average. */
const PAUSE_MS = 4_000;
const MEMBERS_PER_GROUP = 20;
/** Files that a member shares at a time; then it stops the oldest. */
const FILES_AT_A_TIME = 5;
/** Members come from a few offices, each a network of its own. */
const OFFICES = 8;
/** A member whose tracker closed on it is at the next one after so long at most; a client looks sooner. */
const REDIAL_MS = 200;

export const membersTaskSchema = z.object({
  trackers: z.array(z.string()),
  memberCount: z.number(),
});

export const membersReportSchema = z.object({
  commands: z.number(),
  /** Milliseconds of each command, sorted. */
  tookMs: z.array(z.number()),
  slowestMs: z.record(z.string(), z.number()),
  /** Refusals, by code and procedure: a member at a person's pace should see none. */
  refusals: z.record(z.string(), z.number()),
  reconnects: z.number(),
  /** Group id → names of files that were acknowledged as shared and not stopped since. */
  shared: z.record(z.string(), z.array(z.string())),
});
export type MembersReport = z.infer<typeof membersReportSchema>;

interface Member {
  readonly userId: string;
  readonly groupId: string;
  readonly identity: DeviceIdentity;
  readonly localAddress: string;
  readonly files: string[];
  client: ApiClient;
}

const report = {
  commands: 0,
  tookMs: [] as number[],
  slowestMs: {} as Record<string, number>,
  refusals: {} as Record<string, number>,
  reconnects: 0,
};
const authorities = new Map<string, string>();
let trackers: readonly string[] = [];
let isOver = false;

function took(path: string, ms: number): void {
  report.tookMs.push(ms);
  report.slowestMs[path] = Math.max(report.slowestMs[path] ?? 0, Math.round(ms));
}

/**
 * Runs a call at whatever tracker answers, as a client does; what that took counts in full.
 *
 * @returns whether it was done: false if it was refused
 */
async function command(
  member: Member,
  path: string,
  input: object,
  kind: "query" | "mutation" | "write",
): Promise<boolean> {
  const begunMs = performance.now();
  const writeId = randomUUID();
  for (let attempt = 0; ; attempt++) {
    try {
      const write = kind === "write" ? { writeId, ...(attempt > 0 ? { isRetry: true } : {}) } : {};
      const ask = kind === "query" ? "query" : "mutate";
      await member.client[ask](path, { ...input, ...write });
      report.commands++;
      took(path, performance.now() - begunMs);
      return true;
    } catch (error) {
      if (error instanceof Refusal) {
        const what = `${error.code} of ${path}`;
        report.refusals[what] = (report.refusals[what] ?? 0) + 1;
        took(path, performance.now() - begunMs);
        return false;
      }
      if (isOver) return false;
      report.reconnects++;
      member.client = await dialUntilThere(member, attempt + 1);
    }
  }
}

async function dialUntilThere(
  { identity, localAddress }: Pick<Member, "identity" | "localAddress">,
  attempt: number,
): Promise<ApiClient> {
  for (let at = attempt; ; at++) {
    const address = parseAddress(trackers[at % trackers.length] ?? "");
    try {
      const client = await ApiClient.connect({ ...address, identity, localAddress });
      await client.listen();
      client.keepAlive();
      return client;
    } catch {
      await sleep(REDIAL_MS);
    }
  }
}

async function join(number: number, groupId: string, isOwner: boolean): Promise<Member> {
  const userId = `member-${number}`;
  const identity = await createDeviceIdentity();
  const localAddress = `127.88.${number % OFFICES}.1`;
  const client = await dialUntilThere({ identity, localAddress }, number);
  await client.signUp(userId);
  const member = { userId, groupId, identity, localAddress, files: [], client };
  await client.mutate(isOwner ? "groups.create" : "groups.join", { groupId, writeId: randomUUID() });
  return member;
}

async function share(member: Member): Promise<void> {
  const { groupId, userId } = member;
  const fileName = `${userId}-${randomUUID()}.bin`;
  const sha1 = "11".repeat(20);
  const metainfo = encodeMetainfo({
    ...{ fileName, lengthBytes: randomInt(1, 1_000), pieceLengthBytes: 256 * 1024 },
    ...{ authorityPem: authorities.get(groupId) ?? "", pieceHashes: new Uint8Array(20), sha1 },
  });
  const info = Buffer.from(metainfo.info).toString("base64");
  if (await command(member, "files.share", { groupId, info, sha1 }, "write")) member.files.push(fileName);
}

async function stopOldest(member: Member): Promise<void> {
  const fileName = member.files[0];
  if (fileName === undefined) return;
  const { groupId } = member;
  const isStopped = await command(member, "files.stopShare", { groupId, fileName }, "write");
  // What the tracker promised of it is over once it was asked to end it, also if nobody waited for the answer.
  if (isStopped || isOver) member.files.shift();
}

async function work(member: Member): Promise<void> {
  const { groupId } = member;
  const deeds: (() => Promise<unknown>)[] = [
    () => (member.files.length < FILES_AT_A_TIME ? share(member) : stopOldest(member)),
    () => command(member, "files.list", { groupId }, "query"),
    () => command(member, "groups.members", { groupId }, "query"),
    () => command(member, "groups.certificate", { groupId }, "query"),
    () => command(member, "groups.mine", {}, "query"),
    () => command(member, "groups.revocations", { groupIds: [groupId] }, "query"),
    () =>
      command(member, "presence.announce", { listenPort: 6881, seeding: "", downloading: "" }, "mutation"),
  ];
  await sleep(randomInt(PAUSE_MS));
  while (!isOver) {
    await deeds[randomInt(deeds.length)]?.();
    await sleep(PAUSE_MS / 2 + randomInt(PAUSE_MS));
  }
}

async function gather(memberCount: number): Promise<Member[]> {
  const members: Member[] = [];
  for (let begun = 0; begun < memberCount; begun += MEMBERS_PER_GROUP) {
    const groupId = `studio-${begun / MEMBERS_PER_GROUP}`;
    const owner = await join(begun, groupId, true);
    members.push(owner);
    for (let number = begun + 1; number < Math.min(memberCount, begun + MEMBERS_PER_GROUP); number++) {
      const member = await join(number, groupId, false);
      await owner.client.mutate("groups.accept", { groupId, userId: member.userId, writeId: randomUUID() });
      members.push(member);
    }
    const { authorityPem } = groupCertificateSchema.parse(
      await owner.client.query("groups.certificate", { groupId }),
    );
    authorities.set(groupId, authorityPem);
  }
  return members;
}

process.once("message", async (message) => {
  const task = membersTaskSchema.parse(message);
  trackers = task.trackers;
  const members = await gather(task.memberCount);
  process.send?.("gathered");
  const working = members.map(work);
  process.once("message", async () => {
    isOver = true;
    await Promise.all(working);
    const shared: Record<string, string[]> = {};
    for (const { groupId, files } of members) shared[groupId] = [...(shared[groupId] ?? []), ...files];
    const tookMs = report.tookMs.sort((a, b) => a - b);
    process.send?.({ ...report, tookMs, shared } satisfies MembersReport, () => process.exit(0));
  });
});
