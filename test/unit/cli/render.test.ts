// What people read, letter by letter.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { formatBytes, formatRate } from "../../../src/api/byte-units.ts";
import {
  displayWidth,
  formatDuration,
  formatTime,
  harmless,
  truncate,
  type View,
} from "../../../src/cli/display-text.ts";
import { noticeOf } from "../../../src/cli/event-lines.ts";
import {
  noTrackerAnswers,
  renderDownload,
  renderDownloads,
  renderFiles,
  renderGroups,
  renderHashing,
  renderInside,
  renderMembers,
  renderPeers,
  renderProgress,
  renderPrompt,
  renderRequests,
  renderShares,
  renderStatus,
} from "../../../src/cli/render.ts";
import type { ClientStatus, DownloadSource, ShareStatus } from "../../../src/client/status.ts";
import { anyText } from "../any-text.ts";
import { complete, downloading, failed, paused, SHA1 } from "./fake-client.ts";

const view: View = { columns: undefined, isColored: false, timeZone: "UTC" };
const AT = Date.UTC(2026, 0, 31, 18, 5);
const source = (userId: string, pieces: number, isConnected = true): DownloadSource => ({
  userId,
  pieces,
  isConnected,
  bytes: 0,
  rateBytesPerSecond: 0,
});

describe("renderDownload", () => {
  it("shows a running download", () => {
    assert.equal(
      renderDownload(downloading(), view),
      "[D] [films] a.mkv  42%  118/280 pieces  96 MB/s  3 peers  0:12 left",
    );
  });

  it("shows the files of a folder beside its pieces, and what is chosen of it at the end", () => {
    const folder = { fileCount: 2000, chosenFiles: 1200, completeFiles: 7, isFollowed: false };
    assert.equal(
      renderDownload(downloading({ fileName: "pictures", folder }), view),
      "[D] [films] pictures  42%  118/280 pieces  7/1200 files  96 MB/s  3 peers  0:12 left",
    );
    const done = { ...complete("films", "pictures"), sha1: undefined };
    assert.equal(
      renderDownload({ ...done, folder: { ...folder, completeFiles: 1200 } }, view),
      "[C] [films] pictures  280 MB  1200 of 2000 files  /tmp/a.mkv",
    );
    assert.equal(
      renderDownload({ ...done, folder: { ...folder, chosenFiles: 2000 } }, view),
      "[C] [films] pictures  280 MB  2000 files  /tmp/a.mkv",
    );
  });

  it("leaves out what is not known, and says what it waits for", () => {
    assert.equal(
      renderDownload(downloading({ secondsLeft: undefined, peerCount: 1 }), view),
      "[D] [films] a.mkv  42%  118/280 pieces  96 MB/s  1 peer",
    );
    assert.equal(
      renderDownload(downloading({ waitingFor: "waiting: nobody who has the rest is online" }), view),
      "[D] [films] a.mkv  42%  118/280 pieces  waiting: nobody who has the rest is online",
    );
  });

  it("shows the other states", () => {
    const { state: _, ...facts } = downloading();
    assert.equal(
      renderDownload({ ...facts, state: "verifying", piecesVerified: 280, bytesVerified: 280_000_000 }, view),
      "[D] [films] a.mkv  100%  280/280 pieces  checking the whole file",
    );
    assert.equal(renderDownload(complete(), view), `[C] [films] a.mkv  280 MB  SHA-1 ${SHA1}  /tmp/a.mkv`);
    assert.equal(renderDownload(paused(undefined), view), "[P] [films] a.mkv  42%  118/280 pieces  paused");
    assert.equal(
      renderDownload(paused("the disk is full"), view),
      "[P] [films] a.mkv  42%  118/280 pieces  paused: the disk is full",
    );
    assert.equal(
      renderDownload(failed(), view),
      "[F] [films] a.mkv  42%  118/280 pieces  its SHA-1 is wrong",
    );
  });

  it("never says 100% before all is there, and 100% of an empty file", () => {
    assert.match(renderDownload(downloading({ bytesVerified: 279_999_999 }), view), / {2}99% {2}/);
    assert.match(
      renderDownload(
        downloading({ lengthBytes: 0, bytesVerified: 0, pieceCount: 0, piecesVerified: 0 }),
        view,
      ),
      / {2}100% {2}0\/0 pieces/,
    );
  });

  it("colours the letter only", () => {
    assert.equal(
      renderDownload(failed(), { ...view, isColored: true }),
      "\u001b[31m[F]\u001b[39m [films] a.mkv  42%  118/280 pieces  its SHA-1 is wrong",
    );
  });

  it("makes names from others harmless", () => {
    assert.equal(
      renderDownload(downloading({ fileName: "\u001b[2Jfdp\u202Ea.mkv" }), view),
      "[D] [films] \\u{1b}[2Jfdp\\u{202e}a.mkv  42%  118/280 pieces  96 MB/s  3 peers  0:12 left",
    );
  });
});

describe("harmless", () => {
  it("shows the number of every character that is drawn as nothing, where it stands for nothing", () => {
    const hidden = [
      ...[
        "bob\uFE0F",
        "\u3164",
        "a\u115Fb",
        "a\u00ADb",
        "a\u034Fb",
        "a\u200Bb",
        "a\u061C",
        "a\u180Eb",
        "\u2800",
      ],
      ...[
        "rep\u200Dort.pdf",
        "e\u0301\u200D",
        "\u200Dx",
        "1\uFE0F",
        ".\uFE0Ftxt",
        "❤️\uFE0F",
        "x\u{E0100}",
        "a\u{E0041}",
      ],
    ];
    for (const name of hidden) assert.match(harmless(name), /\\u\{[0-9a-f]+\}/, JSON.stringify(name));
    for (let code = 0; code <= 0x10ffff; code++) {
      const character = String.fromCodePoint(code);
      if (
        !/[\p{C}\p{Default_Ignorable_Code_Point}]/u.test(character) ||
        /[\p{Cn}\p{Co}\p{Cf}]/u.test(character)
      )
        continue;
      assert.doesNotMatch(harmless(`a${character}b`), /[\p{Cc}\p{Cs}\p{Default_Ignorable_Code_Point}]/u);
    }
  });

  it("leaves joiners, variants and tags where writing and emoji need them", () => {
    const names = [
      ...["👨‍👩‍👧.jpg", "1️⃣", "❤️", "🏳️‍🌈", "👍🏽", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "☃︎.txt"],
      ...["क्‍ष", "می‌خواهم", "葛\u{E0100}", "日本語.txt", "한글", "o\u0308"],
    ];
    for (const name of names) assert.equal(harmless(name), name);
  });
});

describe("renderDownloads", () => {
  it("puts lines under each other", () => {
    assert.deepEqual(renderDownloads([downloading({ fileName: "日本.mkv" }), paused(undefined)], view), [
      "[D] [films] 日本.mkv  42%  118/280 pieces  96 MB/s  3 peers  0:12 left",
      "[P] [films] a.mkv     42%  118/280 pieces  paused",
    ]);
  });

  it("says that there is none", () => {
    assert.deepEqual(renderDownloads([], view), ["There are no downloads; download_file starts one."]);
  });
});

describe("renderProgress", () => {
  const sources = [source("bob", 20), source("carol", 80), source("dave", 18, false), source("eve", 0)];

  it("says from whom the pieces come, as far as there is room", () => {
    const status = downloading({ sources });
    const line = "[D] [films] a.mkv  42%  118/280 pieces  96 MB/s  3 peers  0:12 left  from carol 80, bob 20";
    assert.equal(renderProgress(status, view), line);
    assert.equal(renderProgress(status, { ...view, columns: 40 }), `${line.slice(0, 38)}…`);
    assert.equal(
      renderProgress(status, { ...view, columns: 40, isColored: true }),
      `\u001b[36m[D]\u001b[39m${line.slice(3, 38)}…`,
    );
  });
});

describe("tables", () => {
  it("shows groups", () => {
    assert.deepEqual(
      renderGroups(
        [
          { groupId: "films", ownerId: "alice", memberCount: 3, standing: "owner" },
          { groupId: "builds", ownerId: "bob", memberCount: 120, standing: "requested" },
          { groupId: "b", ownerId: "bob", memberCount: 1 },
        ],
        view,
      ),
      [
        "GROUP   OWNER  MEMBERS  YOU",
        "films   alice        3  owner",
        "builds  bob        120  asked to join",
        "b       bob          1  -",
      ],
    );
    assert.deepEqual(renderGroups([], view), ["There is no group yet; create_group <group_id> makes one."]);
  });

  it("shows members and requests", () => {
    assert.deepEqual(
      renderMembers(
        [
          { userId: "alice", isOwner: true, isOnline: true, sinceMs: AT },
          { userId: "bob", isOwner: false, isOnline: false, sinceMs: Number.MAX_VALUE },
        ],
        view,
      ),
      ["USER   ROLE    ONLINE  SINCE", "alice  owner   yes     2026-01-31 18:05", "bob    member  no      ?"],
    );
    assert.deepEqual(renderRequests([{ userId: "bob", sinceMs: AT }], "films", view), [
      "USER  SINCE",
      "bob   2026-01-31 18:05",
    ]);
    assert.deepEqual(renderRequests([], "films", view), ["Nobody is waiting to join films."]);
  });

  const file = {
    fileName: "a long name of a film.mkv",
    lengthBytes: 1_073_741_824,
    sha1: SHA1,
    infoHash: SHA1,
    sharedBy: "alice",
    seedersOnline: 2,
    peersOnline: 13,
  };

  it("shows files", () => {
    assert.deepEqual(renderFiles([file], "films", view), [
      "FILE                          SIZE  SEEDERS  LEECHERS  SHARED BY  SHA-1",
      "a long name of a film.mkv  1.07 GB        2        11  alice      da39a3ee5e6b",
    ]);
    assert.deepEqual(renderFiles([], "films", view), [
      "films has no file yet; upload_file <file_path> films shares one.",
    ]);
  });

  it("shows folders in one row each, with a column for their files", () => {
    const folder = { ...file, fileName: "pictures", sha1: undefined, fileCount: 100_000 };
    assert.deepEqual(renderFiles([file, folder], "films", view), [
      "FILE                        FILES     SIZE  SEEDERS  LEECHERS  SHARED BY  SHA-1",
      "a long name of a film.mkv       -  1.07 GB        2        11  alice      da39a3ee5e6b",
      "pictures                   100000  1.07 GB        2        11  alice      -",
    ]);
  });

  it("shows what is in a folder", () => {
    const plain = { path: "sub/a.jpg", lengthBytes: 16_000, sha1: SHA1, isExecutable: false };
    const link = { path: "up", lengthBytes: 0, isExecutable: false, linkTarget: "sub/\u202e" };
    assert.deepEqual(
      renderInside([plain, { ...plain, path: "run", isExecutable: true }, link], "pictures", view),
      [
        "PATH        SIZE  SHA-1         REMARKS",
        "sub/a.jpg  16 kB  da39a3ee5e6b",
        "run        16 kB  da39a3ee5e6b  executable",
        "up             -  -             link to sub/\\u{202e}",
      ],
    );
  });

  it("cuts the widest text to fit the terminal", () => {
    assert.deepEqual(renderFiles([file], "films", { ...view, columns: 63 }), [
      "FILE           SIZE  SEEDERS  LEECHERS  SHARED BY  SHA-1",
      "a long na…  1.07 GB        2        11  alice      da39a3ee5e6b",
    ]);
  });

  it("shows peers", () => {
    const peer = {
      userId: "bob",
      address: "127.0.0.1:5001",
      piecesHad: 140,
      pieceCount: 280,
      downloadBytesPerSecond: 96_000_000,
      uploadBytesPerSecond: 0,
      downloadedBytes: 1_500_000,
      uploadedBytes: 0,
      remarks: ["choked", "on parole"],
    };
    assert.deepEqual(renderPeers([peer], view), [
      "USER  ADDRESS         HAS     DOWN     UP    GAVE  TOOK  REMARKS",
      "bob   127.0.0.1:5001  50%  96 MB/s  0 B/s  1.5 MB   0 B  choked, on parole",
    ]);
    assert.deepEqual(renderPeers([], view), ["No peer is connected for that file."]);
  });
});

describe("status and prompt", () => {
  const status: ClientStatus = {
    account: { userId: "alice", accountId: "1" },
    listeningOn: "127.0.0.1:5000",
    tracker: "127.0.0.1:9001",
    trackersKnown: true,
    groupIds: ["films", "builds"],
    sharedFiles: 1,
    runningDownloads: 2,
  };
  const nobody = { ...status, account: undefined, tracker: undefined, groupIds: [] };

  it("answers whoami", () => {
    assert.deepEqual(renderStatus(status), [
      "Logged in as alice, in 2 groups: films, builds.",
      "Connected to tracker 127.0.0.1:9001.",
      "Peers reach this client at 127.0.0.1:5000.",
      "1 file shared, 2 downloads running.",
    ]);
    assert.deepEqual(renderStatus(nobody).slice(0, 2), ["Not logged in.", "No tracker answers."]);
    const untold = { ...nobody, trackersKnown: false, trackerProblem: "No tracker is known yet." };
    assert.equal(renderStatus(untold)[1], "No tracker is known yet.");
    const why = { ...nobody, trackerProblem: "Nobody listens there." };
    assert.equal(renderStatus(why)[1], "No tracker answers: Nobody listens there.");
    assert.equal(
      noTrackerAnswers("None of the trackers answers; try again."),
      "No tracker answers: try again.",
    );
    assert.equal(
      noTrackerAnswers("None of the trackers can be reached."),
      "None of the trackers can be reached.",
    );
  });

  it("makes the prompt of user, tracker and groups, within half of the terminal", () => {
    assert.equal(renderPrompt(status, { ...view, columns: 100 }), "alice@127.0.0.1:9001 [films, builds]> ");
    assert.equal(
      renderPrompt({ ...status, groupIds: ["a", "b", "c"] }, { ...view, columns: 100 }),
      "alice@127.0.0.1:9001 [3 groups]> ",
    );
    assert.equal(renderPrompt(status, { ...view, columns: 60 }), "alice@127.0.0.1:9001> ");
    assert.equal(renderPrompt(nobody, { ...view, columns: 100 }), "(not logged in)@(no tracker)> ");
  });

  it("shows hashing", () => {
    assert.equal(
      renderHashing("~/films/a.mkv", { hashedBytes: 450e6, lengthBytes: 1.07e9 }, view),
      "Hashing a.mkv  42%  450 MB of 1.07 GB",
    );
    const long = renderHashing(
      "x".repeat(200),
      { hashedBytes: 45e6, lengthBytes: 100e6 },
      { ...view, columns: 60 },
    );
    assert.match(long, /^Hashing x{20,}… {2}45% {2}45 MB of 100 MB$/);
    assert.ok(long.length < 60);
  });
});

describe("noticeOf", () => {
  it("says how many files were shared in a short time, and the first of them", () => {
    const shared = {
      type: "files-shared",
      groupId: "films",
      count: 12,
      fileNames: ["a.mkv", "b.mkv"],
    } as const;
    assert.equal(
      noticeOf({ ...shared, userId: "bob" }).text,
      "bob shares 12 files in films: a.mkv, b.mkv and 10 more.",
    );
    assert.equal(
      noticeOf({ ...shared, count: 2 }).text,
      "Several people share 2 files in films: a.mkv, b.mkv.",
    );
  });

  it("says the completion as the manual does", () => {
    const event = { type: "download-complete", groupId: "films", fileName: "a.mkv" } as const;
    assert.equal(noticeOf({ ...event, destinationPath: "/tmp/a.mkv", sha1: SHA1 }).text, "[C] [films] a.mkv");
  });

  it("names the command that answers a request, and makes names harmless", () => {
    assert.equal(
      noticeOf({ type: "join-requested", groupId: "films", userId: "bob\u0007" }).text,
      "bob\\u{7} asks to join films; accept it with: accept_request films bob\\u{7}",
    );
  });
});

describe("text for a terminal", () => {
  it("writes sizes, rates and durations for people", () => {
    assert.deepEqual([0, 999, 1000, 1536, 999_499, 999_999, 1_073_741_824].map(formatBytes), [
      "0 B",
      "999 B",
      "1 kB",
      "1.54 kB",
      "999 kB",
      "1 MB",
      "1.07 GB",
    ]);
    assert.deepEqual([0, 9_640_000, 9_990_000, 96_400_000, Number.NaN].map(formatRate), [
      "0 B/s",
      "9.6 MB/s",
      "10 MB/s",
      "96 MB/s",
      "0 B/s",
    ]);
    assert.deepEqual([0, 11.2, 59.9, 725, 3723, 200_000].map(formatDuration), [
      "0:00",
      "0:12",
      "1:00",
      "12:05",
      "1:02:03",
      "2 d 7 h",
    ]);
    assert.equal(formatTime(Number.NaN, view), "?");
  });

  it("counts columns as a terminal does", () => {
    assert.deepEqual(["abc", "日本", "é", "e\u0301", "🎬", "👩‍👧"].map(displayWidth), [3, 4, 1, 1, 2, 2]);
    assert.equal(truncate("日本語の映画", 8), "日本語…");
    assert.equal(truncate("abc", 3), "abc");
    assert.equal(truncate("abc", 0), "");
  });

  it("lets nothing through that steers a terminal, and keeps all else", () => {
    fc.assert(
      fc.property(anyText(), (text) => {
        assert.doesNotMatch(harmless(text), /[\p{Cc}\u202A-\u202E\u2066-\u2069\u2028\u2029]/u);
        assert.equal(harmless(harmless(text)), harmless(text));
      }),
    );
    assert.equal(harmless("Ünï 👩‍👧 नमस्ते"), "Ünï 👩‍👧 नमस्ते");
  });

  it("never makes a text wider than was asked", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.nat({ max: 20 }), (text, columns) => {
        assert.ok(displayWidth(truncate(harmless(text), columns)) <= columns);
      }),
    );
  });
});

describe("renderShares", () => {
  it("shows what is shared, what waits for a tracker, and what is not shared and why", () => {
    const share = { groupId: "films", path: "/a", lengthBytes: 1_000_000, sha1: "", peerCount: 2 };
    const shares: ShareStatus[] = [
      { ...share, fileName: "a.mkv", state: "served" },
      { ...share, fileName: "b.mkv", state: "waiting" },
      { ...share, fileName: "c.mkv", state: "unusable", reason: "it changed" },
    ];
    assert.deepEqual(renderShares(shares, { columns: undefined, isColored: false }), [
      "GROUP  FILE   SIZE  PEERS  STATE                   PATH",
      "films  a.mkv  1 MB      2  shared                  /a",
      "films  b.mkv  1 MB      2  waits for a tracker     /a",
      "films  c.mkv  1 MB      2  not shared: it changed  /a",
    ]);
    const folder = { ...share, fileName: "pictures", fileCount: 7, changedFiles: 1 };
    assert.deepEqual(
      renderShares(
        [
          { ...share, fileName: "a.mkv", state: "served" },
          { ...folder, state: "served" },
        ],
        view,
      ),
      [
        "GROUP  FILE      FILES  SIZE  PEERS  STATE                          PATH",
        "films  a.mkv         -  1 MB      2  shared                         /a",
        "films  pictures      7  1 MB      2  shared, except 1 changed file  /a",
      ],
    );
    assert.match(renderShares([], { columns: undefined, isColored: false })[0] ?? "", /^You share nothing/);
  });
});
