import assert from "node:assert/strict";
import { test } from "node:test";
import { renderWhy } from "../../../src/cli/render-why.ts";

const view = { isColored: false, columns: 120, timeZone: "UTC" };
const base = { groupId: "films", fileName: "a.mkv", pieceCount: 280, tracker: null } as const;
const none = { pieces: 0, ranges: [], rangeCount: 0 };

test("why names what is missing, who had it and when, and what is tried next; nothing in it controls the terminal", () => {
  const lines = renderWhy(
    {
      ...base,
      state: "downloading",
      reason: "It waits: no peer has the missing pieces.",
      missing: {
        pieces: 14,
        ranges: [
          { first: 3, last: 3 },
          ...[10, 20, 30, 40, 50, 60, 70].map((first) => ({ first, last: first + 1 })),
        ],
        rangeCount: 9,
      },
      nobodyHas: { pieces: 1, ranges: [{ first: 3, last: 3 }], rangeCount: 1 },
      notUsed: [
        {
          userId: "eve",
          address: "127.0.0.1:5",
          cause: "unreachable",
          words: "cannot be reached: \u0007 nothing",
        },
        { userId: "mallory", address: null, cause: "banned", words: "sent bad data in piece 3" },
      ],
      holders: [
        { userId: "bob", isConnected: true, missingPiecesHad: 13, lastSeenMs: 0, remarks: ["snubbed"] },
        {
          userId: "car\u001b[2Jol",
          isConnected: false,
          missingPiecesHad: 14,
          lastSeenMs: 3_600_000,
          remarks: [],
        },
      ],
      next: [
        { what: "carol is called at 127.0.0.1:5; the last time: refused", inMs: 61_500 },
        { what: "dave is being called at 127.0.0.1:6", inMs: 0 },
        { what: "trackers are called until one answers", inMs: undefined },
      ],
    },
    view,
  );
  assert.deepEqual(lines, [
    "[films] a.mkv: It waits: no peer has the missing pieces.",
    "Missing: 14 of 280 pieces: 3, 10-11, 20-21, 30-31, 40-41, 50-51, 60-61, 70-71 and 1 more range.",
    "No connected peer has 1 of them: 3.",
    "Not used: eve (127.0.0.1:5) cannot be reached: \\u{7} nothing.",
    "Not used: mallory sent bad data in piece 3.",
    "WHO             MISSING PIECES IT HAS  LAST SEEN         REMARKS",
    "bob                                13  now               snubbed",
    "car\\u{1b}[2Jol                     14  1970-01-01 01:00",
    "Next: carol is called at 127.0.0.1:5; the last time: refused, in 1:02.",
    "Next: dave is being called at 127.0.0.1:6, now.",
    "Next: trackers are called until one answers.",
  ]);
});

test("why says of a download that nobody was ever seen for that it is so, and of a complete one no more than that", () => {
  const all = { pieces: 280, ranges: [{ first: 0, last: 279 }], rangeCount: 1 };
  const rest = { ...base, notUsed: [], holders: [], next: [] };
  const lonely = {
    ...rest,
    state: "downloading",
    reason: "No member who has it is online.",
    missing: all,
  } as const;
  assert.deepEqual(renderWhy({ ...lonely, nobodyHas: all }, view), [
    "[films] a.mkv: No member who has it is online.",
    "Missing: 280 of 280 pieces: 0-279.",
    "No peer that has them was seen since the download was started here.",
  ]);
  const done = {
    ...rest,
    state: "complete",
    reason: "It is complete.",
    missing: none,
    nobodyHas: none,
  } as const;
  assert.deepEqual(renderWhy(done, view), ["[films] a.mkv: It is complete."]);
});
