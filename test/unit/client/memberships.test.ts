// Certificates of groups at a client whose tracker is a stub: what is asked of it, and when.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { ErrorCode } from "../../../src/api/errors.ts";
import type { OwnGroup } from "../../../src/api/schemas.ts";
import { GroupAuthorities, type KnownAuthority } from "../../../src/client/group-authorities.ts";
import { Memberships } from "../../../src/client/memberships.ts";
import { createGroupAuthority } from "../../../src/identity/certificates.ts";
import {
  FakeLink,
  FakeTracker,
  identity,
  readableLog,
  refusal,
  settle,
  virtualTime,
} from "./session-fixture.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const [oneCa, otherCa] = [createGroupAuthority(), createGroupAuthority()];

/** Memberships of alice in films (m1) and books (m2), whose certificates are numbered as they are issued. */
function stage(t: TestContext) {
  const { after } = virtualTime(t);
  const tracker = new FakeTracker();
  const link = new FakeLink(tracker);
  /** Group → the membership that the user is in it by. */
  const membershipIds = new Map([
    ["films", "m1"],
    ["books", "m2"],
  ]);
  const revoked = new Map([["films", ["old"]]]);
  const asked: string[] = [];
  const state = {
    certificates: 0,
    validForMs: HOUR_MS,
    authorityPem: oneCa.certificatePem,
    refusedWith: undefined as ErrorCode | undefined,
    /** What an answer waits for. */
    held: Promise.resolve(),
    revocationsHeld: Promise.resolve(),
  };
  tracker.answer("groups.certificate", async ({ groupId }: { groupId: string }) => {
    asked.push(`certificate ${groupId}`);
    const { refusedWith, held } = state;
    await held;
    if (refusedWith !== undefined) throw refusal(refusedWith);
    return {
      ...{ groupId, groupClaimId: "c", certificatePem: `${++state.certificates}` },
      ...{ namesKey: "ab".repeat(32), authorityPem: state.authorityPem },
      validUntilMs: Date.now() - (link.clockAheadMs ?? 0) + state.validForMs,
      membershipId: membershipIds.get(groupId),
    };
  });
  tracker.answer(
    "groups.revocations",
    async ({ groupIds, after }: { groupIds: readonly string[]; after?: string }) => {
      const groups = groupIds.length > 3 ? `of ${groupIds.length}` : groupIds.join();
      asked.push(`revocations ${groups}${after === undefined ? "" : ` after ${after}`}`);
      await state.revocationsHeld;
      const all = groupIds.flatMap((groupId) =>
        (revoked.get(groupId) ?? []).map((membershipId) => ({ groupId, membershipId })),
      );
      // One a page.
      const at = Number(after ?? 0);
      return { items: all.slice(at, at + 1), ...(at + 1 < all.length ? { next: String(at + 1) } : {}) };
    },
  );
  const dropped: string[] = [];
  const ended: string[] = [];
  const stored = new Map<string, KnownAuthority>();
  const { log, said } = readableLog();
  const memberships = new Memberships(identity, link, log);
  const logIn = () =>
    memberships.begin({
      authorities: new GroupAuthorities({
        store: {
          groupAuthority: (groupId) => stored.get(groupId),
          saveGroupAuthority: () => undefined,
        },
        onFoundedAnew: () => assert.fail("no group was founded anew"),
        onRefused: () => undefined,
      }),
      onEnded: (groupId) => ended.push(groupId),
      onRevoked: (groupId, membershipId) => dropped.push(`${groupId} ${membershipId}`),
    });
  logIn();
  t.after(() => memberships.end());
  const own = (): OwnGroup[] =>
    [...membershipIds].map(([groupId, membershipId]) => ({ groupId, standing: "member", membershipId }));
  const take = () => asked.splice(0);
  const certificate = (groupId: string) => memberships.credentials(groupId)?.certificatePem;
  return {
    ...{
      memberships,
      logIn,
      membershipIds,
      revoked,
      own,
      take,
      dropped,
      ended,
      state,
      link,
      after,
      certificate,
      said,
    },
  };
}

/** Holds back what waits for it until it is let go. */
function hold(state: { held: Promise<void> }): () => Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  state.held = promise;
  return async () => {
    resolve();
    state.held = Promise.resolve();
    await settle();
  };
}

test("a new connection costs no new certificates: one call asks what was revoked in all groups", async (t) => {
  const { memberships, revoked, own, take, dropped } = stage(t);
  await memberships.obtain("films");
  const { isRevoked } = await memberships.obtain("books");
  const before = [memberships.credentials("films"), memberships.credentials("books")];
  take();
  dropped.length = 0;
  revoked.set("films", ["old", "bob"]);
  revoked.set("books", ["carol"]);
  await memberships.catchUp(own());
  assert.deepEqual(take(), [
    "revocations films,books",
    "revocations films,books after 1",
    "revocations films,books after 2",
  ]);
  assert.deepEqual(dropped, ["films old", "films bob", "books carol"], "their connections are closed");
  assert.deepEqual(["old", "bob", "carol", "dave"].map(isRevoked), [true, true, true, false]);
  assert.deepEqual([memberships.credentials("films"), memberships.credentials("books")], before);
});

test("revocations of more groups than fit in one call are asked for in several", async (t) => {
  const { memberships, membershipIds, own, take } = stage(t);
  for (let group = 0; group < 501; group++) {
    membershipIds.set(`g${group}`, `m of g${group}`);
    await memberships.obtain(`g${group}`);
  }
  take();
  await memberships.catchUp(own());
  assert.deepEqual(take(), ["revocations of 500", "revocations g500"]);
});

test("a member removed and accepted again while no tracker was heard gets the certificate of the new membership alone", async (t) => {
  const { memberships, membershipIds, own, take, certificate } = stage(t);
  await memberships.obtain("films");
  await memberships.obtain("books");
  take();
  membershipIds.set("books", "m3");
  await memberships.catchUp(own());
  assert.deepEqual(
    take().filter((call) => call.startsWith("certificate")),
    ["certificate books"],
  );
  assert.deepEqual([certificate("films"), certificate("books")], ["1", "3"]);
});

test("a client whose certificate's membership has ended asks for another certificate, once", async (t) => {
  const { memberships, membershipIds, take, certificate, after } = stage(t);
  await memberships.obtain("books");
  take();
  membershipIds.set("books", "m3");
  memberships.revoke("books", "m2");
  memberships.revoke("books", "m2");
  await settle();
  assert.equal(certificate("books"), "2");
  assert.equal(memberships.credentials("books")?.isRevoked("m2"), true);
  assert.deepEqual(take(), ["certificate books", "revocations books"]);
  await after(30 * MINUTE_MS - 1);
  assert.deepEqual(take(), [], "the first certificate's half time does not count any more");
  membershipIds.set("books", "m4");
  memberships.revoke("books", "m3");
  await settle();
  assert.equal(certificate("books"), "3", "the same happens when it ends again");
});

test("the end of another member's membership costs no certificate", async (t) => {
  const { memberships, take, dropped } = stage(t);
  const { isRevoked } = await memberships.obtain("books");
  take();
  memberships.revoke("books", "bob");
  await settle();
  assert.deepEqual([take(), dropped, isRevoked("bob")], [[], ["books bob"], true]);
});

test("a certificate comes with the memberships that are over: nobody is let in by one of them meanwhile", async (t) => {
  const { memberships, state, take, dropped } = stage(t);
  const revocations = Promise.withResolvers<void>();
  state.revocationsHeld = revocations.promise;
  const obtained = memberships.obtain("films");
  await settle();
  assert.deepEqual(take(), ["certificate films", "revocations films"]);
  assert.equal(memberships.credentials("films"), undefined, "without them it is not used");
  revocations.resolve();
  const { isRevoked } = await obtained;
  assert.ok(isRevoked("old"), "the membership that had ended before");
  assert.deepEqual(dropped, ["films old"]);
});

test("a certificate is asked for once, by however many, and kept until shortly before its end", async (t) => {
  const { memberships, state, take, after } = stage(t);
  const [one, other] = await Promise.all([memberships.obtain("films"), memberships.obtain("films")]);
  assert.equal(one, other);
  assert.equal(await memberships.obtain("films"), one);
  assert.deepEqual(take(), ["certificate films", "revocations films"]);
  assert.equal(one.privateKeyPem, identity.privateKeyPem);
  assert.equal(one.authorityPem, oneCa.certificatePem);
  state.refusedWith = "TRACKERS_UNREACHABLE";
  await after(HOUR_MS - 5_001);
  assert.equal(memberships.credentials("films"), one);
  await after(1);
  assert.equal(memberships.credentials("films"), undefined, "it would run out during a handshake");
});

test("after a refusal the next one who needs a certificate asks again", async (t) => {
  const { memberships, state, certificate } = stage(t);
  state.refusedWith = "NOT_A_MEMBER";
  await assert.rejects(memberships.obtain("films"), { code: "NOT_A_MEMBER" });
  state.refusedWith = undefined;
  await memberships.obtain("films");
  assert.equal(certificate("films"), "1");
});

test("a certificate is renewed at half its time, and again at half of the next one's", async (t) => {
  const { memberships, take, after, certificate } = stage(t);
  await memberships.obtain("films");
  take();
  await after(30 * MINUTE_MS - 1);
  assert.deepEqual(take(), []);
  await after(1);
  assert.deepEqual(take(), ["certificate films", "revocations films"]);
  assert.equal(certificate("films"), "2");
  await after(30 * MINUTE_MS);
  assert.equal(certificate("films"), "3");
  assert.deepEqual(take(), ["certificate films", "revocations films"]);
});

test("the half time is that of the tracker's clock", async (t) => {
  const { memberships, link, take, after } = stage(t);
  link.clockAheadMs = -8 * MINUTE_MS;
  await memberships.obtain("films");
  take();
  await after(30 * MINUTE_MS - 1);
  assert.deepEqual(take(), []);
  await after(1);
  assert.equal(take()[0], "certificate films");
});

test("a certificate that is almost over is renewed once a second, not in a circle", async (t) => {
  const { memberships, state, take, after } = stage(t);
  state.validForMs = 10;
  await memberships.obtain("films");
  take();
  await after(999);
  assert.deepEqual(take(), []);
  await after(1);
  assert.deepEqual(take(), ["certificate films", "revocations films"]);
});

test("a renewal that fails is tried again every half minute, and the certificate stays in use meanwhile", async (t) => {
  const { memberships, state, take, after, certificate, ended, said } = stage(t);
  await memberships.obtain("films");
  state.refusedWith = "TRACKERS_UNREACHABLE";
  take();
  await after(30 * MINUTE_MS);
  assert.equal(take()[0], "certificate films");
  assert.equal(certificate("films"), "1");
  assert.deepEqual(said("warn"), ["certificate not renewed"]);
  await after(29_999);
  assert.deepEqual(take(), []);
  await after(1);
  assert.equal(take()[0], "certificate films");
  state.refusedWith = undefined;
  await after(30_000);
  assert.equal(certificate("films"), "2");
  assert.deepEqual(ended, []);
});

test("a certificate that is obtained after the last one ran out is renewed at its own half time alone", async (t) => {
  const { memberships, state, take, after } = stage(t);
  await memberships.obtain("films");
  state.refusedWith = "TRACKERS_UNREACHABLE";
  await after(30 * MINUTE_MS);
  for (let retry = 0; retry < 60; retry++) await after(30_000);
  state.refusedWith = undefined;
  await memberships.obtain("films");
  take();
  await after(30 * MINUTE_MS - 1);
  assert.deepEqual(take(), [], "the earlier one's next attempt is not made any more");
});

test("a certificate whose renewal before time failed at first is renewed once, not at its half time too", async (t) => {
  const { memberships, membershipIds, state, take, after, certificate } = stage(t);
  await memberships.obtain("books");
  state.refusedWith = "TRACKERS_UNREACHABLE";
  membershipIds.set("books", "m3");
  memberships.revoke("books", "m2");
  await settle();
  state.refusedWith = undefined;
  await after(30_000);
  assert.equal(certificate("books"), "2");
  take();
  await after(30 * MINUTE_MS - 1);
  assert.deepEqual(take(), []);
});

for (const code of ["NOT_A_MEMBER", "UNKNOWN_GROUP"] as const) {
  test(`a renewal that is refused with ${code} ends the membership here, and is not repeated`, async (t) => {
    const { memberships, state, take, after, certificate, ended } = stage(t);
    await memberships.obtain("films");
    state.refusedWith = code;
    await after(30 * MINUTE_MS);
    assert.deepEqual([certificate("films"), ended], [undefined, ["films"]]);
    take();
    await after(30 * MINUTE_MS);
    assert.deepEqual(take(), []);
  });
}

for (const leave of ["forget", "end"] as const) {
  for (const isRefused of [false, true]) {
    const answered = isRefused ? "refused" : "answered";
    const when = leave === "forget" ? "after leaving the group" : "after logout";
    test(`a renewal that is ${answered} ${when} changes nothing, and is no news`, async (t) => {
      const { memberships, state, after, certificate, ended, said } = stage(t);
      await memberships.obtain("films");
      if (isRefused) state.refusedWith = "NOT_A_MEMBER";
      const answer = hold(state);
      await after(30 * MINUTE_MS);
      memberships[leave]("films");
      await answer();
      assert.deepEqual([certificate("films"), ended, said("warn")], [undefined, [], []]);
    });
  }
}

test("out of a group, or logged out, its certificate is neither used nor renewed any more", async (t) => {
  const { memberships, take, after, certificate } = stage(t);
  await memberships.obtain("films");
  await memberships.obtain("books");
  memberships.forget("films");
  assert.deepEqual([certificate("films"), certificate("books")], [undefined, "2"]);
  memberships.end();
  assert.equal(certificate("books"), undefined);
  take();
  await after(HOUR_MS);
  assert.deepEqual(take(), []);
});

test("a certificate that was asked for before a logout is not the next account's", async (t) => {
  const { memberships, logIn, state, certificate, take } = stage(t);
  const answerLate = hold(state);
  const late = assert.rejects(memberships.obtain("films"), { code: "NOT_LOGGED_IN" });
  await settle();
  memberships.end();
  logIn();
  const answer = hold(state);
  const own = memberships.obtain("films");
  await settle();
  take();
  await answerLate();
  await late;
  assert.equal(certificate("films"), undefined);
  const same = memberships.obtain("films");
  await settle();
  assert.deepEqual(take(), [], "the next account's question is still open");
  await answer();
  assert.equal(await same, await own);
  assert.equal(certificate("films"), "2");
});

test("an account's knowledge of a group's CA ends with its session", async (t) => {
  const { memberships, logIn, state } = stage(t);
  await memberships.obtain("films");
  memberships.forget("films");
  state.authorityPem = otherCa.certificatePem;
  await assert.rejects(memberships.obtain("films"), { code: "GROUP_KEY_CHANGED" });
  assert.equal(memberships.credentials("films"), undefined);
  memberships.end();
  logIn();
  assert.equal((await memberships.obtain("films")).authorityPem, otherCa.certificatePem);
});

test("with a clock that makes certificates useless none is asked for, and the person is told why", async (t) => {
  const { memberships, link, take, after, said } = stage(t);
  link.clockAheadMs = HOUR_MS;
  await assert.rejects(memberships.obtain("films"), { code: "CLOCK_WRONG" });
  memberships.obtainInBackground("films");
  await settle();
  assert.deepEqual([take(), said("error")], [[], []], "it is not said again for each peer");
  link.clockAheadMs = -30 * MINUTE_MS;
  await assert.rejects(memberships.obtain("books"), { code: "CLOCK_WRONG" }, "it would not be valid yet");
  link.clockAheadMs = 30 * MINUTE_MS;
  await after(2_000);
  memberships.obtainInBackground("films");
  await settle();
  assert.equal(take()[0], "certificate films");
});

test("a missing certificate is fetched in the background, at most once in two seconds for each group, and at once after a login", async (t) => {
  const { memberships, logIn, state, take, after, certificate, said } = stage(t);
  state.refusedWith = "NOT_A_MEMBER";
  const asked = () => take().filter((call) => call.startsWith("certificate"));
  memberships.obtainInBackground("films");
  memberships.obtainInBackground("books");
  await settle();
  assert.deepEqual(asked(), ["certificate films", "certificate books"]);
  assert.deepEqual(said("error"), [
    "fetching the certificate for films failed",
    "fetching the certificate for books failed",
  ]);
  await after(1_999);
  memberships.obtainInBackground("films");
  await settle();
  assert.deepEqual(asked(), []);
  await after(1);
  memberships.obtainInBackground("films");
  await settle();
  assert.deepEqual(asked(), ["certificate films"]);
  memberships.end();
  logIn();
  state.refusedWith = undefined;
  memberships.obtainInBackground("films");
  await settle();
  assert.equal(certificate("films"), "1");
});

test("catching up ends when what is over is renewed and what was revoked is known", async (t) => {
  const { memberships, membershipIds, state, own, certificate } = stage(t);
  await memberships.obtain("films");
  membershipIds.set("films", "m5");
  const answer = hold(state);
  let isOver = false;
  const caughtUp = memberships.catchUp(own()).then(() => {
    isOver = true;
  });
  await settle();
  assert.equal(isOver, false);
  await answer();
  await caughtUp;
  assert.equal(certificate("films"), "2");
});
