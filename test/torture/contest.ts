// A name that everybody asks for at the same moment, wherever he is: given to exactly one while trackers are connected;
// where they were apart, to one in the end, and the others are told.
import { setTimeout as sleep } from "node:timers/promises";
import type { Fail, Group } from "./promises.ts";
import type { Tally } from "./tally.ts";
import type { Writer } from "./writer.ts";

/** Longest that a claimant may wait, after reunion, to hear that his name is somebody else's. */
const TOLD_WITHIN_MS = process.env.TORTURE_ROUNDS === undefined ? 10_000 : 2_000;
const POLL_MS = 20;

/** Who has been told that the name is his; with the connection he had then. */
interface Winner {
  readonly writer: Writer;
  readonly connection: number;
}

/** calm: all trackers connected all the while; one-died: one was killed, the others connected; apart: anything. */
export type Circumstances = "calm" | "one-died" | "apart";

export class Contest {
  readonly groupId: string;
  readonly winners: Winner[] = [];
  readonly #unknown = new Set<Writer>();

  constructor(groupId: string) {
    this.groupId = groupId;
  }

  async run(writers: readonly Writer[]): Promise<void> {
    await Promise.all(
      writers.map(async (writer) => {
        const answer = await writer.command("groups.create", { groupId: this.groupId });
        if (answer.status === "done") this.winners.push({ writer, connection: writer.connectionNumber });
        // Who was refused when he asked again may have been given it where he asked first.
        if (answer.status === "unknown" || (answer.status === "refused" && answer.wasRetry)) {
          this.#unknown.add(writer);
        }
      }),
    );
  }

  /** At one tracker. */
  check(groups: ReadonlyMap<string, Group> | undefined, circumstances: Circumstances, fail: Fail): void {
    const { groupId, winners } = this;
    const owner = groups?.get(groupId)?.ownerId;
    if (winners.length === 0) {
      if (circumstances === "calm") fail(groupId, "was asked for by all, and given to nobody");
      return;
    }
    if (owner === undefined) fail(groupId, "was given away, and is gone");
    if (circumstances !== "apart" && winners.length !== 1) {
      fail(groupId, `was given to ${winners.map(({ writer }) => writer.userId).join(" and ")}`);
    }
    const isWinners = winners.some(({ writer }) => writer.userId === owner);
    const isUnknowns = [...this.#unknown].some(({ userId }) => userId === owner);
    if (isWinners || (isUnknowns && circumstances === "apart")) return;
    fail(groupId, `was given to ${winners[0]?.writer.userId}, and is ${owner}'s`);
  }

  /** Those who were given the name, do not have it, and were connected all the while, must have been told so. */
  async checkTold(groups: ReadonlyMap<string, Group> | undefined, fail: Fail, tally: Tally): Promise<void> {
    const { groupId } = this;
    const owner = groups?.get(groupId)?.ownerId;
    if (this.winners.length > 1) tally.givenTwice++;
    for (const { writer, connection } of this.winners) {
      if (writer.userId === owner) continue;
      const isTold = () =>
        writer.events.some(({ event }) => event.type === "name-taken-elsewhere" && event.name === groupId);
      for (let waitedMs = 0; !isTold() && waitedMs < TOLD_WITHIN_MS; waitedMs += POLL_MS) {
        if (writer.connectionNumber !== connection) break;
        await sleep(POLL_MS);
      }
      if (isTold()) tally.losersTold++;
      else if (writer.connectionNumber === connection) {
        fail(groupId, `${writer.userId} lost it to ${owner}, and was not told`);
      }
    }
  }
}
