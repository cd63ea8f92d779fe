// A member is removed at one tracker while others of his group are online at other trackers: how long until the last of
// them, and he himself, has been told.
import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "./cluster.ts";
import type { Writer } from "./writer.ts";

/** Online peers drop somebody within a second of his removal. A short run shares its machine, and says nothing about speed. */
const TOLD_WITHIN_MS = process.env.TORTURE_ROUNDS === undefined ? 10_000 : 1_000;
const POLL_MS = 10;

/** @returns milliseconds from the removal being asked for */
export async function tellOfRemoval(
  writers: readonly Writer[],
  cluster: Cluster,
  groupId: string,
): Promise<number> {
  const [owner, ...guests] = writers;
  if (owner === undefined) throw new Error("nobody to own the group");
  const removed = guests.at(-1);
  const ownerAt = await owner.settle();
  await must(owner, "groups.create", { groupId });
  for (const guest of guests) {
    await must(guest, "groups.join", { groupId });
    await must(owner, "groups.accept", { groupId, userId: guest.userId });
  }
  const places = await Promise.all(guests.map((guest) => guest.settle()));
  if (cluster.size > 1 && places.every((at) => at === ownerAt)) {
    // Everybody came to be at one tracker: he who is removed goes elsewhere.
    removed?.move((ownerAt + 1) % cluster.size);
    await removed?.settle();
  }
  const startedMs = performance.now();
  await must(owner, "groups.remove", { groupId, userId: removed?.userId ?? "" });
  const heardMs = (guest: Writer) =>
    guest.events.find(({ event }) => {
      const isAbout = guest === removed ? event.type === "membership-ended" : event.type === "revoked";
      return isAbout && "groupId" in event && event.groupId === groupId;
    })?.atMs;
  while (guests.some((guest) => heardMs(guest) === undefined)) {
    if (performance.now() - startedMs > TOLD_WITHIN_MS) {
      const deaf = guests.filter((guest) => heardMs(guest) === undefined).map(({ userId }) => userId);
      throw new Error(`${groupId}: ${deaf.join(", ")} had not heard of a removal after ${TOLD_WITHIN_MS} ms`);
    }
    await sleep(POLL_MS);
  }
  return Math.max(...guests.map((guest) => heardMs(guest) ?? 0)) - startedMs;
}

async function must(writer: Writer, path: string, input: Record<string, string>): Promise<void> {
  const answer = await writer.command(path, input);
  if (answer.status !== "done") throw new Error(`${path} by ${writer.userId}: ${JSON.stringify(answer)}`);
}
