// Which ids count as one: a claim on either takes both.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, it } from "node:test";
import { authenticate, createUser, prepareUser } from "../../../../src/tracker/rules/accounts.ts";
import { listGroups, removeMember, requestToJoin } from "../../../../src/tracker/rules/groups.ts";
import { alikeOf, lookAlikeKey, takenSentence } from "../../../../src/tracker/rules/look-alikes.ts";
import { cheapPasswords as passwords } from "../cheap-passwords.ts";
import { town } from "../fixture.ts";

const SAME: readonly (readonly string[])[] = [
  ["bob", "Bob", "BOB", "b0b", "bOb"],
  ["Ivan", "ivan", "IVAN", "lvan", "1van"],
  ["modern", "modem", "MODERN"],
  // Latin, and Cyrillic letters that look like it, each of one script.
  ["apec", "\u0430\u0440\u0435\u0441"],
  ["BOB", "\u0412\u041E\u0412"],
  ["oo", "\u03BF\u03BF", "\u043E\u043E"],
  // Katakana, and Han characters that look like it.
  ["\u30ED\u30A8", "\u53E3\u5DE5"],
  ["\u0131x", "ix"],
  // A syllable in brackets, as one character.
  ["\u320E", "(\uAC00)"],
];
const DIFFERENT: readonly (readonly string[])[] = [
  ["bob", "bobby", "rob", "bob.", "b\u00F3b"],
  ["user1", "user2", "user7", "user11"],
  ["\u0431\u043E\u0431", "bob"],
  ["\u6771\u4EAC", "\u4EAC\u90FD"],
  Array.from({ length: 300 }, (_, index) => `user-${index}`),
];

describe("lookAlikeKey", () => {
  for (const ids of SAME) {
    it(`is the same for ${ids.join(", ")}`, () => {
      assert.equal(new Set(ids.map(lookAlikeKey)).size, 1);
    });
  }

  for (const ids of DIFFERENT) {
    it(`differs for ${ids.slice(0, 5).join(", ")}`, () => {
      assert.equal(new Set(ids.map(lookAlikeKey)).size, ids.length);
    });
  }

  it("is its own key, and the key of every Latin letter's other case", () => {
    for (const character of "abcdefghijklmnopqrstuvwxyz0123456789._@-") {
      assert.equal(lookAlikeKey(character.toUpperCase()), lookAlikeKey(character));
      assert.equal(lookAlikeKey(lookAlikeKey(character)), lookAlikeKey(character));
    }
  });
});

describe("what a claim on a name takes", () => {
  it("is also the names like it, of a user or a group, and of a file that name alone", () => {
    for (const kind of ["user", "group"] as const) assert.equal(alikeOf(kind, "B0b"), lookAlikeKey("bob"));
    assert.equal(alikeOf("file", "B0b"), "");
  });

  it("is the same for a letter with an accent and for both one by one", () => {
    assert.equal(lookAlikeKey("ren\u00e9"), lookAlikeKey("rene\u0301"));
    assert.notEqual(lookAlikeKey("ren\u00e9"), lookAlikeKey("rene"));
  });

  it("is told as taken, with the holder only if that is spelled differently", () => {
    assert.equal(takenSentence("user id", "bob", "bob"), "The user id 'bob' is taken; choose another one.");
    assert.match(
      takenSentence("group id", "B0b", "bob"),
      /^The group id 'B0b' looks like 'bob', which is taken/,
    );
  });
});

describe("ids that look alike", () => {
  it("are not given to two accounts, and the sentence names the one that has it", async (t) => {
    const { registry, write, user } = town(t);
    await user("bob");
    for (const userId of ["Bob", "b0b", "BOB"]) {
      const refusal = {
        code: "USER_EXISTS",
        message: new RegExp(`'${userId}' looks like 'bob', which is taken; choose`),
      };
      await assert.rejects(prepareUser(registry, passwords, "w", userId, "secret"), refusal);
      const credential = { passwordHash: "" };
      await assert.rejects(
        write((writer) => createUser(writer, randomUUID(), userId, credential, 1)),
        refusal,
      );
    }
    await user("bobby");
  });

  it("open no account but the one that is spelled so", async (t) => {
    const { registry, write } = town(t);
    const credential = await prepareUser(registry, passwords, "w", "bob", "secret");
    await write((writer) => createUser(writer, "w", "bob", credential, 1));
    assert.equal((await authenticate(registry, passwords, "bob", "secret")).userId, "bob");
    for (const userId of ["Bob", "b0b"]) {
      await assert.rejects(authenticate(registry, passwords, userId, "secret"), { code: "BAD_CREDENTIALS" });
    }
  });

  it("are not given to two groups, and neither is meant by the other's", async (t) => {
    const place = town(t);
    const [alice, bob] = [await place.user("alice"), await place.user("bob")];
    await place.group("films", alice, bob);
    const refusal = { code: "GROUP_EXISTS", message: /'Films' looks like 'films', which is taken; choose/ };
    await assert.rejects(place.group("Films", bob), refusal);
    await assert.rejects(
      place.as(bob, (command) => requestToJoin(command, "Films")),
      { code: "UNKNOWN_GROUP" },
    );
    await assert.rejects(
      place.as(alice, (command) => removeMember(command, "films", "Bob")),
      { code: "UNKNOWN_USER" },
    );
  });

  it("are free again once the group is over that has one of them", async (t) => {
    const place = town(t);
    const alice = await place.user("alice");
    await place.group("films", alice);
    const { claimId = "" } = place.registry.claim("group", "films") ?? {};
    await place.write((writer) => writer.endClaim("group", claimId));
    await place.group("Films", alice);
    assert.deepEqual(
      listGroups(place.registry, alice.accountId, { limit: 10 }).items.map(({ groupId }) => groupId),
      ["Films"],
    );
  });
});
