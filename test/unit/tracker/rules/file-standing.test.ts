import assert from "node:assert/strict";
import { test } from "node:test";
import { shareFile, stopShare } from "../../../../src/tracker/rules/catalogue.ts";
import { fileStanding } from "../../../../src/tracker/rules/file-standing.ts";
import { leaveGroup, removeMember } from "../../../../src/tracker/rules/groups.ts";
import { metainfoFor, town } from "../fixture.ts";

const HOLDER = "h".repeat(64);

test("a file's standing: what has its name, who shared it, and who of those asked about is a member and online", async (t) => {
  const place = town(t);
  const [alice, bob, eve] = [await place.user("alice"), await place.user("bob"), await place.user("eve")];
  await place.group("films", alice, bob);
  const [first, second] = [metainfoFor("a", 1), metainfoFor("a", 2)];
  const share = ({ info, sha1 }: typeof first) =>
    place.as(alice, (command) => shareFile(command, { groupId: "films", info, sha1, holderId: HOLDER }));
  const { infoHash } = first;
  const ask = (userIds: string[], isOnline = true, asker = bob) =>
    fileStanding(
      place.registry,
      asker.accountId,
      { groupId: "films", fileName: "a", infoHash, userIds },
      () => isOnline,
    );
  assert.deepEqual(ask([]), { content: "none", sharedBy: undefined, members: [] });
  await share(first);
  assert.deepEqual(ask(["eve", "nobody"]), {
    content: "same",
    sharedBy: "alice",
    members: [
      { userId: "eve", isMember: false, isOnline: false },
      { userId: "nobody", isMember: false, isOnline: false },
      { userId: "alice", isMember: true, isOnline: true },
    ],
  });
  assert.deepEqual(ask(["alice"], false).members, [{ userId: "alice", isMember: true, isOnline: false }]);
  await place.as(alice, (command) =>
    stopShare(command, { groupId: "films", fileName: "a", holderId: HOLDER }),
  );
  assert.deepEqual(ask(["alice"]), {
    content: "none",
    sharedBy: undefined,
    members: [{ userId: "alice", isMember: true, isOnline: true }],
  });
  await share(second);
  assert.equal(ask([]).content, "other");
  assert.throws(() => ask([], true, eve), { code: "NOT_A_MEMBER" });
  await place.group("books", bob, alice);
  const books = metainfoFor("b", 3);
  await place.as(alice, (command) =>
    shareFile(command, { groupId: "books", info: books.info, sha1: books.sha1, holderId: HOLDER }),
  );
  await place.as(alice, (command) => leaveGroup(command, "books"));
  const left = fileStanding(
    place.registry,
    bob.accountId,
    { groupId: "books", fileName: "b", infoHash: books.infoHash, userIds: ["alice"] },
    () => true,
  );
  assert.deepEqual(left, {
    ...{ content: "none", sharedBy: undefined },
    // Whether somebody is online who is not in the group is nobody's business there.
    members: [{ userId: "alice", isMember: false, isOnline: false }],
  });
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  assert.throws(() => ask([]), { code: "NOT_A_MEMBER" });
});
