// What writers were told is done, and whether each tracker has it: of this round in every particular, of earlier rounds
// as far as a list of groups shows it.
import { z } from "zod";
import type { Cluster } from "./cluster.ts";
import type { Tally } from "./tally.ts";
import { ask, type Writer } from "./writer.ts";

const groupsSchema = z.array(
  z.object({
    groupId: z.string(),
    ownerId: z.string(),
    memberCount: z.number(),
    standing: z.string().optional(),
  }),
);
const membersSchema = z.array(z.object({ userId: z.string() }));
export type Group = z.infer<typeof groupsSchema>[number];

/** What a group must be, as far as it was promised; undefined: nobody can say. */
export interface Promised {
  readonly owner: Writer;
  readonly guestUser: Writer;
  isFounded: boolean | undefined;
  /** Whether the guest is in, asked, or out. */
  guest: "in" | "asked" | "out" | undefined;
}

export type Promises = Map<string, Promised>;
export type Fail = (groupId: string, what: string) => never;

/** The groups there are at one tracker, as each writer sees them. */
export async function viewsAt(
  cluster: Cluster,
  index: number,
  writers: readonly Writer[],
): Promise<Map<Writer, Map<string, Group>>> {
  const views = new Map<Writer, Map<string, Group>>();
  for (const writer of writers) {
    const list = await ask(cluster, index, writer.identity, (client) => client.queryAll("groups.list"));
    views.set(writer, new Map(groupsSchema.parse(list).map((group) => [group.groupId, group])));
  }
  return views;
}

/** Every promise of any round, against what one tracker lists. */
export function checkListed(
  views: ReadonlyMap<Writer, ReadonlyMap<string, Group>>,
  promises: Promises,
  fail: Fail,
  tally: Tally,
): void {
  for (const [groupId, { owner, guestUser, isFounded, guest }] of promises) {
    if (isFounded !== true) continue;
    const group = views.get(owner)?.get(groupId);
    if (group?.ownerId !== owner.userId) {
      fail(groupId, `founded by ${owner.userId}, and is ${JSON.stringify(group)}`);
    }
    tally.promisesChecked++;
    if (guest === undefined) continue;
    const standing = views.get(guestUser)?.get(groupId)?.standing;
    const is = standing === "member" ? "in" : standing === "requested" ? "asked" : "out";
    if (is !== guest) fail(groupId, `its guest should be ${guest}, and is ${is}`);
    tally.promisesChecked++;
  }
}

/** What is asked of a tracker group by group: who is listed as a member, and who gets no certificate. */
export async function checkMembers(
  cluster: Cluster,
  index: number,
  promises: Promises,
  fail: Fail,
): Promise<void> {
  for (const [groupId, { owner, guestUser, isFounded, guest }] of promises) {
    if (isFounded !== true || (guest !== "in" && guest !== "out")) continue;
    const members = await ask(cluster, index, owner.identity, (client) =>
      client.queryAll("groups.members", { groupId }),
    );
    const isListed = membersSchema.parse(members).some(({ userId }) => userId === guestUser.userId);
    if (isListed !== (guest === "in")) fail(groupId, `its guest is ${isListed ? "" : "not "}listed`);
    if (guest !== "out") continue;
    const issued = await ask(cluster, index, guestUser.identity, (client) =>
      client.query("groups.certificate", { groupId }),
    ).then(
      () => true,
      () => false,
    );
    if (issued) fail(groupId, "somebody who was removed got a certificate");
  }
}
