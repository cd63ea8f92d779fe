import assert from "node:assert/strict";
import { test } from "node:test";
import { durationParts } from "../../../web/src/state/durations.ts";
import { shortFingerprint } from "../../../web/src/state/fingerprints.ts";
import { keep, kept } from "../../../web/src/state/kept.ts";
import { comboOf, isTyping } from "../../../web/src/state/key-names.ts";
import { noticeOf } from "../../../web/src/state/notices.ts";
import { linkIn } from "../../../web/src/state/page-key.ts";
import { readSettings } from "../../../web/src/state/page-settings.ts";

const DEFAULTS = { theme: "system", textures: undefined, language: undefined, singleKeys: true, notices: [] };

test("settings that the browser kept are used as far as they are known", () => {
  for (const text of [
    undefined,
    "",
    "no JSON",
    "null",
    "7",
    '{"theme":"pink","notices":"all","language":"xx"}',
  ]) {
    assert.deepEqual(readSettings(text), DEFAULTS, String(text));
  }
  const kept = {
    theme: "dark",
    textures: false,
    language: "de",
    singleKeys: false,
    notices: ["stuck", "request"],
  };
  assert.deepEqual(readSettings(JSON.stringify({ ...kept, more: 1 })), {
    ...kept,
    notices: ["request", "stuck"],
  });
});

test("what is kept lasts as long as the page where the browser keeps nothing", () => {
  keep("name", "value");
  assert.equal(kept("name"), "value");
  keep("name", undefined);
  assert.equal(kept("name"), undefined);
});

test("a link of the daemon is told from an address of the page", () => {
  assert.equal(linkIn("#link=aB_9-x"), "aB_9-x");
  for (const hash of ["", "#/transfers", "#link=", "#link=a b", `#link=${"a".repeat(201)}`, "#/x#link=a"]) {
    assert.equal(linkIn(hash), undefined, hash);
  }
});

test("keys have one name, whatever the keyboard sends", () => {
  const press = (key: string, held: object = {}) =>
    comboOf({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...held });
  assert.equal(press("j"), "j");
  assert.equal(press("J"), "j");
  assert.equal(press("?", { shiftKey: true }), "?");
  assert.equal(press(" "), "Space");
  assert.equal(press("ArrowDown", { shiftKey: true }), "Shift+ArrowDown");
  assert.equal(press("a", { metaKey: true }), "Ctrl+a");
  assert.equal(press("x", { altKey: true, ctrlKey: true }), "Ctrl+Alt+x");
});

test("a field takes characters, a box to tick does not", () => {
  const typing = [{ tagName: "INPUT", type: "password" }, { tagName: "TEXTAREA" }, { tagName: "SELECT" }];
  const others = [{ tagName: "INPUT", type: "checkbox" }, { tagName: "BUTTON" }, { tagName: "DIV" }, null];
  assert.deepEqual(typing.map(isTyping), [true, true, true]);
  assert.deepEqual(others.map(isTyping), [false, false, false, false]);
  assert.equal(isTyping({ tagName: "DIV", isContentEditable: true }), true);
});

test("notices are made of the events that somebody waits for, and lead to where they are answered", () => {
  const asked = noticeOf("join-requested", { groupId: "studio", userId: "erin" });
  assert.deepEqual([asked?.kind, asked?.userId], ["request", "erin"]);
  assert.deepEqual(asked?.route, { view: "group", groupId: "studio", tab: "requests" });
  const stuck = noticeOf("download-waiting", { groupId: "studio", fileName: "a", reason: "Nobody has it." });
  assert.deepEqual([stuck?.kind, stuck?.reason], ["stuck", "Nobody has it."]);
  assert.deepEqual(stuck?.route, { view: "transfers", groupId: "studio", fileName: "a" });
  assert.equal(noticeOf("download-complete", { groupId: "studio" }), undefined);
  assert.equal(noticeOf("file-shared", { groupId: "studio", fileName: "a" }), undefined);
});

test("a length of time is told in its two largest units", () => {
  const told = (seconds: number) =>
    durationParts(seconds)
      .map(({ value, unit }) => `${value} ${unit}`)
      .join(" ");
  assert.deepEqual([0, 59.4, 60, 216, 600, 3_599, 3_600, 6_240, 86_400, 187_200].map(told), [
    "0 s",
    "59 s",
    "1 min",
    "3 min 36 s",
    "10 min",
    "59 min",
    "1 h",
    "1 h 44 min",
    "1 d",
    "2 d 4 h",
  ]);
});

test("a fingerprint is shown by its beginning, in groups", () => {
  assert.equal(shortFingerprint("A1:B2:C3:D4:E5:F6:07:18:29"), "a1b2 c3d4 e5f6 0718 …");
  assert.equal(shortFingerprint("a1b2"), "a1b2");
});
