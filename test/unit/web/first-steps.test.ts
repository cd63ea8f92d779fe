import assert from "node:assert/strict";
import { test } from "node:test";
import { passwordStrength, placeOf, readPasted, stepsFor } from "../../../web/src/state/first-steps.ts";

const invite = { kind: "invite", invite: "minitorrent:AbC-_9" } as const;
const trackers = { kind: "trackers", text: "192.0.2.1:7001" } as const;

test("an invite is found in a whole message; anything else is addresses of trackers", () => {
  assert.deepEqual(readPasted("Hi dave,\n  minitorrent:AbC-_9\nbye"), invite);
  assert.deepEqual(readPasted("“minitorrent:AbC-_9”"), invite);
  assert.deepEqual(readPasted(" 192.0.2.1:7001\n"), trackers);
  assert.deepEqual(readPasted(" \n "), { kind: "nothing" });
});

test("a new daemon gets trackers, an account, a session and a group, in that order", () => {
  const names = (...asked: Parameters<typeof stepsFor>) => stepsFor(...asked).map(({ name }) => name);
  assert.deepEqual(names(true, invite, false), ["setTrackers", "createUser", "login", "joinByInvite"]);
  assert.deepEqual(names(true, trackers, false), ["setTrackers", "createUser", "login"]);
  assert.deepEqual(names(false, { kind: "nothing" }, true), ["login"]);
});

test("an invite leaves trackers that are known as they are, typed ones replace them", () => {
  assert.deepEqual(
    stepsFor(false, invite, true).map(({ name }) => name),
    ["login", "joinByInvite"],
  );
  assert.deepEqual(stepsFor(false, trackers, true)[0], { name: "setTrackers", pasted: trackers });
});

test("an error stands beside the field that it is about", () => {
  assert.equal(placeOf("createUser", "USER_EXISTS", "The user id 'bob' is taken."), "name");
  assert.equal(placeOf("createUser", "INVALID_ARGUMENT", "a user id has 1 to 64 letters"), "name");
  assert.equal(placeOf("createUser", "INVALID_ARGUMENT", "the password is empty"), "password");
  assert.equal(placeOf("login", "BAD_CREDENTIALS", "Wrong name or password."), "password");
  assert.equal(placeOf("login", "TRACKERS_UNREACHABLE", "No tracker answers."), "form");
  assert.equal(placeOf("setTrackers", "USAGE", "line 1 is no address"), "pasted");
});

test("a password that has the name in it, or few different characters, is called easy to guess", () => {
  assert.deepEqual(
    ["", "dave-2026-dave", "aaaaaaaaaaaaaaa", "h0rse!x", "correct-horse-battery"].map((password) =>
      passwordStrength(password, "dave"),
    ),
    ["empty", "guessable", "guessable", "short", "long"],
  );
});
