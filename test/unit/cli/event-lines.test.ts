// What happens unasked, in words: one line for each kind of event, with what to do where there is something.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventFeed } from "../../../src/cli/event-feed.ts";
import { noticeOf } from "../../../src/cli/event-lines.ts";
import type { ClientEvent } from "../../../src/client/status.ts";

const FILE = { groupId: "films", fileName: "a.mkv" };

const said: readonly (readonly [event: ClientEvent, tone: string, text: RegExp])[] = [
  [
    { type: "join-requested", groupId: "films", userId: "bob" },
    "accent",
    /^bob asks to join films; accept it with: accept_request films bob$/,
  ],
  [{ type: "request-accepted", groupId: "films" }, "good", /^You are a member of films now\.$/],
  [{ type: "request-rejected", groupId: "films" }, "warn", /^Your request to join films was rejected\.$/],
  [{ type: "member-joined", groupId: "films", userId: "bob" }, "good", /^bob joined films with an invite\.$/],
  [
    { type: "membership-ended", groupId: "films", how: "removed" },
    "warn",
    /^The owner removed you from films\.$/,
  ],
  [{ type: "membership-ended", groupId: "films", how: "left" }, "warn", /^You left films\.$/],
  [{ type: "membership-ended", groupId: "films", how: "group-ended" }, "warn", /^films has ended\.$/],
  [
    { type: "membership-ended", groupId: "films", how: "account-removed" },
    "warn",
    /^You are no longer in films: the operator/,
  ],
  [{ type: "group-founded-anew", groupId: "films" }, "warn", /^films was founded anew/],
  [{ type: "group-key-refused", groupId: "films", reason: "Another key." }, "bad", /^Another key\.$/],
  [{ type: "became-owner", groupId: "films" }, "good", /^You own films now/],
  [
    { type: "name-taken-elsewhere", kind: "group", name: "films" },
    "bad",
    /^The group name films was taken earlier/,
  ],
  [{ type: "file-shared", ...FILE, userId: "bob" }, "plain", /^bob shares a\.mkv in films\.$/],
  [
    { type: "files-shared", groupId: "films", count: 3, fileNames: ["a", "b"], userId: "bob" },
    "plain",
    /^bob shares 3 files in films: a, b and 1 more\.$/,
  ],
  [
    { type: "files-shared", groupId: "films", count: 2, fileNames: ["a", "b"] },
    "plain",
    /^Several people share 2 files in films: a, b\.$/,
  ],
  [
    { type: "share-updated", ...FILE, userId: "bob", isFollowed: false },
    "accent",
    /^bob published a new version of a\.mkv in films; download_file films a\.mkv <destination_path> fetches it, and follow films a\.mkv also fetches those to come\.$/,
  ],
  [
    { type: "share-updated", ...FILE, userId: "bob", isFollowed: true },
    "accent",
    /^bob published a new version of a\.mkv in films; it is being fetched\.$/,
  ],
  [
    { type: "share-updated", ...FILE, userId: undefined, isFollowed: true },
    "accent",
    /^A former member published a new version of a\.mkv in films; it is being fetched\.$/,
  ],
  [
    { type: "changed-files-kept", ...FILE, count: 3, paths: ["x/a", "b"] },
    "warn",
    /^\[films\] a\.mkv: 3 files that you changed are kept beside the new version: x\/a, b and 1 more\.$/,
  ],
  [
    { type: "changed-files-kept", ...FILE, count: 1, paths: ["x/a"] },
    "warn",
    /^\[films\] a\.mkv: 1 file that you changed is kept beside the new version: x\/a\.$/,
  ],
  [
    { type: "shared-files-changed", ...FILE, count: 12, paths: ["x/a", "b"] },
    "warn",
    /^\[films\] a\.mkv: 12 files changed or are gone, and are not shared until they are as they were: x\/a, b and 10 more\. update_share films a\.mkv shares the folder as it is now\.$/,
  ],
  [
    { type: "shared-files-changed", ...FILE, count: 1, paths: ["b"] },
    "warn",
    /^\[films\] a\.mkv: 1 file changed or is gone, and is not shared until it is as it was: b\. /,
  ],
  [
    { type: "shared-files-back", ...FILE },
    "dim",
    /^\[films\] a\.mkv: all of its files are as they were shared again\.$/,
  ],
  [{ type: "folder-made", path: "/x" }, "warn", /^The folder \/x did not exist; it was created\.$/],
  [
    { type: "download-complete", ...FILE, destinationPath: "/x", sha1: "" },
    "good",
    /^\[C\] \[films\] a\.mkv$/,
  ],
  [{ type: "download-paused", ...FILE, reason: "why" }, "warn", /^\[P\] \[films\] a\.mkv {2}paused: why$/],
  [
    { type: "download-failed", ...FILE, code: "CORRUPT_FILE", reason: "why" },
    "bad",
    /^\[F\] \[films\] a\.mkv {2}why$/,
  ],
  [{ type: "download-waiting", ...FILE, reason: "why" }, "warn", /^\[D\] \[films\] a\.mkv {2}why$/],
  [{ type: "downloads-waiting" }, "warn", /show_downloads shows why/],
  [
    { type: "profile-entry-set-aside", kind: "share", ...FILE, reason: "why" },
    "bad",
    /this share is damaged and was set aside \(why\); share it again\.$/,
  ],
  [
    { type: "profile-entry-set-aside", kind: "download", ...FILE, reason: "why" },
    "bad",
    /this download is damaged and was set aside \(why\); download it again\.$/,
  ],
  [
    { type: "may-share-again", groupId: "films", count: 2, paths: ["/a", "/b"] },
    "accent",
    /no longer shared: \/a, \/b\. upload_file <file_path> films /,
  ],
  [{ type: "may-share-again", groupId: "films", count: 3, paths: ["/a"] }, "accent", /: \/a and 2 more\. /],
  [{ type: "held-by-others", ...FILE, uploadedBytes: 1 }, "dim", /other members now hold the whole file/],
  [{ type: "share-ended", ...FILE, reason: "why" }, "warn", /is no longer shared from here: why$/],
  [
    { type: "peer-sent-bad-data", ...FILE, userId: "bob", pieceIndex: 3, isBanned: false },
    "bad",
    /bob sent bad data in piece 3; it was discarded\.$/,
  ],
  [
    { type: "peer-sent-bad-data", ...FILE, userId: "bob", pieceIndex: 3, isBanned: true },
    "bad",
    /discarded, and nothing more is taken from them\.$/,
  ],
  [
    { type: "data-refused", ...FILE, userId: "bob", pieceIndex: 3 },
    "bad",
    /bob received piece 3 from here damaged, .*memory and network adapter\.$/,
  ],
  [{ type: "tracker-connected", tracker: "a:1", isFailover: false }, "dim", /^Connected to tracker a:1\.$/],
  [
    { type: "tracker-connected", tracker: "a:1", isFailover: true },
    "warn",
    /^The tracker was lost; now at tracker a:1\.$/,
  ],
  [
    { type: "tracker-trusted", tracker: "a:1", fingerprint: "ab" },
    "warn",
    /^First contact with tracker a:1: its key sha256:ab is trusted/,
  ],
  [{ type: "trackers-unreachable", reason: "why" }, "bad", /^No tracker answers: why$/],
  [{ type: "connections-taken", reason: "why" }, "bad", /^why$/],
  [{ type: "clock-wrong", reason: "why" }, "bad", /^why$/],
  [{ type: "session-ended", reason: "why" }, "bad", /^You are logged out: why$/],
];

for (const [event, tone, text] of said) {
  test(`${event.type} is told as ${text.source.replaceAll("\\", "")}`, () => {
    const notice = noticeOf(event);
    assert.match(notice.text, text);
    assert.equal(notice.tone, tone);
  });
}

test("names in a notice are made harmless", () => {
  const { text } = noticeOf({ type: "became-owner", groupId: "a\u001b[2J\n" });
  assert.equal(text, "You own a\\u{1b}[2J\\u{a} now: you decide who may join.");
});

test("events that come before anybody listens are heard once, in order, and those after that at once", () => {
  const feed = new EventFeed();
  const heard: string[] = [];
  const event = (groupId: string): ClientEvent => ({ type: "became-owner", groupId });
  feed.push(event("a"));
  feed.push(event("b"));
  feed.listen((one) => "groupId" in one && heard.push(one.groupId));
  feed.push(event("c"));
  feed.listen((one) => "groupId" in one && heard.push(`again ${one.groupId}`));
  feed.push(event("d"));
  assert.deepEqual(heard, ["a", "b", "c", "again d"]);
});
