// Certificates of groups at a client whose tracker is a stub: what is asked of it, and when.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import type { OwnGroup } from "../../../src/api/schemas.ts";
import type { TrackerApi } from "../../../src/client/api-channel.ts";
import { GroupAuthorities } from "../../../src/client/group-authorities.ts";
import { Memberships } from "../../../src/client/memberships.ts";
import type { TrackerLink } from "../../../src/client/tracker-link.ts";
import { wholeList } from "../../../src/client/whole-lists.ts";
import { createDeviceIdentity } from "../../../src/identity/certificates.ts";

const identity = await createDeviceIdentity();

function stage() {
  const asked: string[] = [];
  /** Group → the membership that the user is in it by. */
  const membershipIds = new Map([
    ["films", "m1"],
    ["books", "m2"],
  ]);
  const revoked = { films: ["old"], books: [] as string[] };
  let certificates = 0;
  const groups = {
    certificate: {
      query: async ({ groupId }: { groupId: string }) => {
        asked.push(`certificate ${groupId}`);
        const membershipId = membershipIds.get(groupId);
        const validUntilMs = Date.now() + 3_600_000;
        return {
          groupId,
          groupClaimId: "c",
          certificatePem: `${++certificates}`,
          namesKey: "ab".repeat(32),
          authorityPem: identity.certificatePem,
          validUntilMs,
          membershipId,
        };
      },
    },
    revocations: {
      query: async ({ groupIds, after }: { groupIds: readonly ("films" | "books")[]; after?: string }) => {
        asked.push(`revocations ${groupIds.join()}${after === undefined ? "" : ` after ${after}`}`);
        const all = groupIds.flatMap((groupId) =>
          revoked[groupId].map((membershipId) => ({ groupId, membershipId })),
        );
        // One a page.
        const at = Number(after ?? 0);
        return { items: all.slice(at, at + 1), ...(at + 1 < all.length ? { next: String(at + 1) } : {}) };
      },
    },
  };
  const api = { groups } as unknown as TrackerApi;
  const link: Pick<TrackerLink, "ask" | "clockAheadMs"> = {
    clockAheadMs: undefined,
    ask: async (answer, question) => answer.parse(await question(api)),
  };
  const dropped: string[] = [];
  const memberships = new Memberships(
    identity,
    () => link,
    pino({ level: "silent" }),
    () => assert.fail("no group has ended"),
    (groupId, membershipId) => dropped.push(`${groupId} ${membershipId}`),
    (item, askForPage) => wholeList(item, (answer, question) => link.ask(answer, question), askForPage),
    new GroupAuthorities({
      store: () => ({ groupAuthority: () => undefined, saveGroupAuthority: () => undefined }),
      onFoundedAnew: () => assert.fail("no group was founded anew"),
      onRefused: (_groupId, reason) => assert.fail(reason),
    }),
  );
  const own = (): OwnGroup[] =>
    [...membershipIds].map(([groupId, membershipId]) => ({ groupId, standing: "member", membershipId }));
  const take = () => asked.splice(0);
  return { memberships, membershipIds, revoked, own, take, dropped };
}

test("a new connection costs no new certificates: one call asks what was revoked in all groups", async () => {
  const { memberships, revoked, own, take, dropped } = stage();
  await memberships.obtain("films");
  const { isRevoked } = await memberships.obtain("books");
  const before = [memberships.credentials("films"), memberships.credentials("books")];
  take();
  dropped.length = 0;
  revoked.films.push("bob");
  revoked.books.push("carol");
  await memberships.catchUp(own());
  assert.deepEqual(take(), [
    "revocations films,books",
    "revocations films,books after 1",
    "revocations films,books after 2",
  ]);
  assert.deepEqual(dropped, ["films old", "films bob", "books carol"], "their connections are closed");
  assert.deepEqual(["old", "bob", "carol", "dave"].map(isRevoked), [true, true, true, false]);
  assert.deepEqual([memberships.credentials("films"), memberships.credentials("books")], before);
  memberships.forgetAll();
});

test("who was removed and let in again while no tracker was heard gets the certificate of that membership alone", async () => {
  const { memberships, membershipIds, own, take } = stage();
  await memberships.obtain("films");
  await memberships.obtain("books");
  take();
  membershipIds.set("books", "m3");
  await memberships.catchUp(own());
  assert.deepEqual(
    take().filter((call) => call.startsWith("certificate")),
    ["certificate books"],
  );
  assert.equal(memberships.credentials("books")?.certificatePem, "3");
  memberships.forgetAll();
});

test("who hears that the membership of the certificate at hand is over asks for another one", async () => {
  const { memberships, membershipIds, take } = stage();
  await memberships.obtain("books");
  take();
  membershipIds.set("books", "m3");
  memberships.revoke("books", "m2");
  while (memberships.credentials("books")?.certificatePem === "1") await new Promise(setImmediate);
  assert.equal(memberships.credentials("books")?.isRevoked("m2"), true);
  memberships.forgetAll();
});
