// Each command of the table with a fake client: what it asks of the client, and its answer for a program and for a person.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { decodeInvite, encodeInvite } from "../../../src/api/invite.ts";
import type { InviteSummary } from "../../../src/api/schemas.ts";
import type { CommandContext } from "../../../src/cli/command-types.ts";
import { commands } from "../../../src/cli/commands.ts";
import { execute } from "../../../src/cli/execute.ts";
import { complete, downloading, FakeClient, failed, INVITE, paused, SHA1 } from "./fake-client.ts";

const view = { columns: undefined, isColored: false, timeZone: "UTC" };

async function run(line: string, client = new FakeClient(), changes: Partial<CommandContext> = {}) {
  const outcome = await execute(commands, line, {
    client,
    signal: new AbortController().signal,
    askPassword: undefined,
    onHashing: () => undefined,
    ...changes,
  });
  if (outcome.kind !== "answered") return outcome;
  return { kind: "answered", result: outcome.answer.result, lines: outcome.answer.lines(view) } as const;
}

/** The answer as data and as lines, and what was asked of the client. */
async function answer(line: string, client = new FakeClient(), changes: Partial<CommandContext> = {}) {
  const outcome = await run(line, client, changes);
  assert.ok(outcome.kind === "answered", JSON.stringify(outcome));
  return { result: outcome.result, lines: outcome.lines, calls: client.calls };
}

async function failure(line: string, client = new FakeClient(), changes: Partial<CommandContext> = {}) {
  const outcome = await run(line, client, changes);
  assert.ok(outcome.kind === "failed", JSON.stringify(outcome));
  return `${outcome.error.code}: ${outcome.error.message}`;
}

function loggedIn(): FakeClient {
  const client = new FakeClient();
  client.userId = "alice";
  return client;
}

describe("commands of accounts", () => {
  it("make an account, and warn of a short password that was given, counted in characters", async () => {
    const warnings: string[] = [];
    const warn = (sentence: string): void => void warnings.push(sentence);
    const made = await answer("create_user alice pässword", new FakeClient(), { warn });
    assert.deepEqual(made.result, { userId: "alice" });
    assert.deepEqual(made.lines, ["User alice was created; log in with: login alice"]);
    assert.deepEqual(made.calls, ["createUser alice pässword"]);
    assert.deepEqual(warnings, []);
    await answer("create_user alice pa\u0308sswor", new FakeClient(), { warn });
    assert.match(warnings.join(), /^The password has 7 characters, .* at least 8, better 15/);
    const refusing = new FakeClient();
    refusing.failures.set("createUser", new MiniTorrentError("USER_EXISTS", "Taken."));
    assert.equal(await failure("create_user alice x", refusing, { warn }), "USER_EXISTS: Taken.");
    assert.equal(warnings.length, 1, "nothing is warned of an account that was not made");
  });

  it("ask twice for a new password and once for an old one", async () => {
    const questions: string[] = [];
    const askPassword = async (question: string): Promise<string> => {
      questions.push(question);
      return "correct-horse";
    };
    assert.deepEqual((await answer("create_user alice", new FakeClient(), { askPassword })).calls, [
      "createUser alice correct-horse",
    ]);
    assert.deepEqual(questions.splice(0), ["Password: ", "Once more: "]);
    assert.deepEqual((await answer("login alice", new FakeClient(), { askPassword })).calls, [
      "login alice correct-horse",
    ]);
    assert.deepEqual(questions, ["Password: "]);
  });

  it("log in and out, and say which downloads wait meanwhile", async () => {
    const login = await answer("login alice x");
    assert.deepEqual(login.result, { userId: "alice", accountId: "1" });
    assert.deepEqual(login.lines, ["Logged in as alice."]);
    assert.deepEqual(await answer("logout", loggedIn()), {
      result: { pausedDownloads: 0 },
      lines: ["Logged out."],
      calls: ["logout"],
    });
    const client = loggedIn();
    client.current = [downloading(), downloading({ fileName: "b.mkv" })];
    assert.deepEqual(await answer("logout", client), {
      result: { pausedDownloads: 2 },
      lines: ["Logged out. 2 downloads paused until the next login."],
      calls: ["logout"],
    });
  });

  it("say who is there once the first tracker is known, with null for what is not", async () => {
    const client = new FakeClient();
    client.tracker = undefined;
    client.delays.set(
      "trackerKnown",
      Promise.resolve().then(() => (client.tracker = "127.0.0.1:9001")),
    );
    const { result, lines } = await answer("whoami", client);
    assert.partialDeepStrictEqual(result, { account: null, tracker: "127.0.0.1:9001", trackerProblem: null });
    assert.deepEqual(lines.slice(0, 2), ["Not logged in.", "Connected to tracker 127.0.0.1:9001."]);
    client.tracker = undefined;
    client.delays.clear();
    assert.partialDeepStrictEqual((await answer("whoami", client)).result, { tracker: null });
  });
});

describe("commands of groups", () => {
  it("make, join and answer requests", async () => {
    for (const [line, call, said, result] of [
      [
        "create_group films",
        "createGroup films",
        "Group films was created; you own it.",
        { groupId: "films" },
      ],
      [
        "join_group films",
        "joinGroup films",
        "You asked to join films; its owner decides.",
        { groupId: "films" },
      ],
      [
        "accept_request films bob",
        "acceptRequest films bob",
        "bob is a member of films now.",
        { groupId: "films", userId: "bob" },
      ],
      [
        "reject_request films bob",
        "rejectRequest films bob",
        "The request of bob to join films is rejected.",
        { groupId: "films", userId: "bob" },
      ],
    ] as const) {
      assert.deepEqual(await answer(line), { result, lines: [said], calls: [call] });
    }
  });

  it("make an invite, for anybody within seven days unless an option says otherwise", async () => {
    const client = new FakeClient();
    const warnings: string[] = [];
    const warn = (sentence: string): void => void warnings.push(sentence);
    const made = await answer("create_invite films", client, { warn });
    assert.deepEqual(made, {
      result: client.newInvite,
      lines: [
        "Until 1970-01-01 00:16 this lets anybody who has it join films; revoke_invite films 0123456789abcdef ends it. It is shown only now:",
        INVITE,
      ],
      calls: ["createInvite films {}"],
    });
    assert.match(warnings.join(), /of use on this machine alone/);
    for (const [uses, who] of [
      [1, "one person"],
      [3, "3 people"],
    ] as const) {
      client.newInvite = { ...client.newInvite, uses };
      const { lines, calls } = await answer(`create_invite films --uses ${uses} --expires=2d`, client);
      assert.match(lines[0] ?? "", new RegExp(`lets ${who} join`));
      assert.equal(calls.at(-1), `createInvite films {"uses":${uses},"expiresMs":172800000}`);
    }
    for (const [option, message] of [
      ["--uses 0", /^INVALID_ARGUMENT: '0' is not a number from 1 to 10,000/],
      ["--uses 10001", /^INVALID_ARGUMENT: /],
      ["--uses 1.5", /^INVALID_ARGUMENT: /],
      ["--expires 7", /^INVALID_ARGUMENT: '7' is not a time: .*7d, of at most 366 days/],
      ["--expires 53w", /^INVALID_ARGUMENT: /],
    ] as const)
      assert.match(await failure(`create_invite films ${option}`, client), message);
  });

  it("warn of no address that other machines reach", async () => {
    const client = new FakeClient();
    const invite = encodeInvite({
      ...decodeInvite(INVITE),
      trackers: [
        { host: "127.0.0.1", port: 9000 },
        { host: "192.0.2.1", port: 9000 },
      ],
    });
    client.newInvite = { ...client.newInvite, invite };
    await answer("create_invite films", client, { warn: (sentence) => assert.fail(sentence) });
  });

  it("list invites with who used them, and revoke one", async () => {
    const client = new FakeClient();
    assert.deepEqual((await answer("list_invites films", client)).lines, [
      "There is no invite to films; create_invite films makes one.",
    ]);
    const invite = { inviteId: "0a", createdBy: "alice", createdAtMs: 0, expiresAtMs: 60_000 } as const;
    client.invites = [
      { ...invite, useCount: 3, usedBy: ["bob", "carol"], state: "active" },
      { ...invite, inviteId: "0b", useCount: 1, usesLeft: 0, usedBy: ["dave"], state: "exhausted" },
    ] as InviteSummary[];
    const { lines, result } = await answer("list_invites films", client);
    assert.equal(result, client.invites);
    assert.deepEqual(lines, [
      "INVITE  STATE      UNTIL             LEFT  MADE BY  USED BY",
      "0a      active     1970-01-01 00:01   any  alice    bob, carol, 1 more",
      "0b      exhausted  1970-01-01 00:01     0  alice    dave",
    ]);
    assert.deepEqual(await answer("revoke_invite films 0a"), {
      result: { groupId: "films", inviteId: "0a" },
      lines: ["Nobody joins films with the invite 0a any more."],
      calls: ["revokeInvite films 0a"],
    });
  });

  it("join with an invite in place of a group", async () => {
    assert.deepEqual(await answer(`join_group ${INVITE}`), {
      result: { groupId: "films" },
      lines: ["You are a member of films now."],
      calls: [`joinByInvite ${INVITE}`],
    });
  });

  it("leave a group, and say who owns it then, or that it has ended", async () => {
    const client = new FakeClient();
    const left = async () => (await answer("leave_group films", client)).lines[0];
    assert.equal(await left(), "You left films. bob owns it now.");
    client.left = { newOwnerId: undefined, groupEnded: false };
    assert.equal(await left(), "You left films.");
    assert.deepEqual((await answer("leave_group films", client)).result, {
      ...{ groupId: "films", newOwnerId: null, groupEnded: false },
    });
    client.left = { newOwnerId: undefined, groupEnded: true };
    assert.equal(await left(), "You left films. You were its last member: it has ended.");
  });

  it("name one tracker, or several, that have not confirmed a removal", async () => {
    const client = new FakeClient();
    client.unconfirmedTrackers = ["192.0.2.2:9000"];
    const { lines } = await answer("remove_member films bob", client);
    assert.match(
      lines[1] ?? "",
      /^192\.0\.2\.2:9000 has not confirmed the removal: until it hears of it, bob can/,
    );
  });

  it("list requests, members and groups as they are", async () => {
    const client = new FakeClient();
    client.requests = [{ userId: "carol", sinceMs: 0 }];
    client.members = [{ userId: "bob", isOwner: true, isOnline: false, sinceMs: 0 }];
    client.groups = [{ groupId: "films", ownerId: "bob", memberCount: 2 }];
    for (const [line, list, word] of [
      ["list_requests films", client.requests, "carol"],
      ["list_members films", client.members, "bob"],
      ["list_groups", client.groups, "films"],
    ] as const) {
      const { result, lines } = await answer(line, client);
      assert.deepEqual(result, list);
      assert.match(lines[1] ?? "", new RegExp(`^${word} `));
    }
  });
});

describe("commands of files", () => {
  it("share a file, and say how it is shared", async () => {
    const facts = `1 MB, 4 pieces, SHA-1 ${SHA1}.`;
    const client = new FakeClient();
    const shared = async (): Promise<string> =>
      (await answer("upload_file /a/b.mkv films", client)).lines.join();
    assert.equal(await shared(), `[films] b.mkv is shared: ${facts}`);
    client.shareChanges = { replacesEarlier: true };
    assert.equal(await shared(), `[films] b.mkv is shared in the place of its earlier content: ${facts}`);
    client.shareChanges = { joinedSwarm: true, replacesEarlier: true, pieceCount: 1 };
    assert.equal(
      await shared(),
      `[films] b.mkv is in the group already: you share it too: ${facts.replace("4 pieces", "1 piece")}`,
    );
    assert.deepEqual(client.calls[0], "uploadFile /a/b.mkv films");
  });

  it("share a folder, and say how many files it has and what is not shared", async () => {
    const client = new FakeClient();
    const folder = { sha1: undefined, fileCount: 2000 };
    const nothing = { ignored: 0, fifos: 0, sockets: 0, devices: 0, emptyFolders: 0 };
    const said = async (line: string): Promise<readonly string[]> => (await answer(line, client)).lines;
    client.shareChanges = folder;
    assert.deepEqual(await said("upload_folder /a/pictures films"), [
      "[films] pictures is shared: 2000 files, 1 MB, 4 pieces.",
    ]);
    client.shareChanges = {
      ...folder,
      fileCount: 1,
      skipped: { ...nothing, ignored: 3, fifos: 1, emptyFolders: 2 },
    };
    assert.deepEqual(await said("upload_file /a/pictures films"), [
      "[films] pictures is shared: 1 file, 1 MB, 4 pieces.",
      "Not shared: 3 ignored, 1 FIFO, 2 empty folders.",
    ]);
    client.shareChanges = { ...folder, skipped: { ...nothing, sockets: 2, devices: 1 } };
    assert.equal((await said("upload_file /a/pictures films"))[1], "Not shared: 2 sockets, 1 device.");
    client.shareChanges = { ...folder, skipped: nothing };
    assert.equal((await said("upload_file /a/pictures films")).length, 1);
    assert.deepEqual(new Set(client.calls), new Set(["uploadFile /a/pictures films"]));
  });

  it("publish a new version, of what lies where it did or elsewhere", async () => {
    const client = new FakeClient();
    const progress: unknown[] = [];
    const onHashing = (path: string): void => void progress.push(path);
    client.onUpload = async (report) => report({ hashedBytes: 1, lengthBytes: 2 });
    client.shareChanges = { fileCount: 7 };
    const updated = await answer("update_share films pictures", client, { onHashing });
    assert.deepEqual(updated.lines, ["[films] pictures has a new version: 7 files, 1 MB, 4 pieces."]);
    assert.partialDeepStrictEqual(updated.result, { fileName: "pictures", fileCount: 7 });
    client.shareChanges = { fileCount: 7, replacesEarlier: false };
    const same = await answer("update_share films pictures /b/new", client, { onHashing });
    assert.deepEqual(same.lines, [
      "[films] pictures is as it was, and has no new version: 7 files, 1 MB, 4 pieces.",
    ]);
    assert.deepEqual(client.calls, ["updateShare films pictures", "updateShare films pictures /b/new"]);
    assert.deepEqual(progress, ["pictures", "/b/new"]);
  });

  it("list a page of the files in a folder, and say how the next one is listed", async () => {
    const client = new FakeClient();
    const file = { path: "a.jpg", lengthBytes: 1000, sha1: SHA1, isExecutable: false };
    client.inside = { items: [file], next: "it's" };
    const page = await answer("list_files films pictures", client);
    assert.deepEqual(page.result, { files: [file], next: "it's" });
    assert.equal(page.lines.length, 3);
    assert.equal(page.lines[2], "More: list_files films pictures --after it\\'s");
    client.inside = { items: [] };
    const last = await answer(page.lines[2]?.slice("More: ".length) ?? "", client);
    assert.deepEqual(last.result, { files: [], next: null });
    assert.deepEqual(last.lines, ["There are no more files in pictures."]);
    assert.deepEqual(client.calls, ["listInside films pictures", "listInside films pictures it's"]);
    assert.match(await failure("list_files films --after x"), /^USAGE: --after is for the files in a folder/);
  });

  it("tell how far hashing is, and stop it when the person gives up", async () => {
    const client = new FakeClient();
    const progress: unknown[] = [];
    const signal = new AbortController().signal;
    client.onUpload = async (report, given) => {
      assert.equal(given, signal);
      report({ hashedBytes: 1, lengthBytes: 2 });
    };
    await answer("upload_file /b.mkv films", client, {
      signal,
      onHashing: (path, { hashedBytes }) => progress.push(path, hashedBytes),
    });
    assert.deepEqual(progress, ["/b.mkv", 1]);
  });

  it("stop a share here or everywhere, and name the members who did not have all of it", async () => {
    const client = new FakeClient();
    assert.deepEqual(await answer("stop_share films a.mkv", client), {
      result: { groupId: "films", fileName: "a.mkv" },
      lines: ["[films] a.mkv is no longer shared from here."],
      calls: ["stopShare films a.mkv"],
    });
    client.interrupted = ["bob", "carol"];
    const everywhere = await answer("stop_share films a.mkv everywhere", client);
    assert.deepEqual(everywhere.result, {
      ...{ groupId: "films", fileName: "a.mkv", everywhere: true, interrupted: ["bob", "carol"] },
    });
    assert.deepEqual(everywhere.lines, [
      "[films] a.mkv is no longer shared from any of your machines. bob, carol did not have all of it yet; upload_file shares it again.",
    ]);
    assert.equal(client.calls.at(-1), "stopShare films a.mkv everywhere");
    client.interrupted = Array.from({ length: 11 }, (_, at) => `u${at}`);
    assert.match(
      (await answer("stop_share films a.mkv", client)).lines[0] ?? "",
      /u9 and 1 more did not have all/,
    );
    client.interrupted = client.interrupted.slice(1);
    assert.match((await answer("stop_share films a.mkv", client)).lines[0] ?? "", /u10 did not have all/);
    assert.match(
      await failure("stop_share films a.mkv here", client),
      /^USAGE: stop_share takes everywhere .*'here'/,
    );
  });

  it("list files and shares, and write files for other programs", async () => {
    const client = new FakeClient();
    assert.deepEqual((await answer("list_files films", client)).result, []);
    assert.deepEqual((await answer("list_shares", client)).result, []);
    assert.deepEqual((await answer("export_torrent films a.mkv /x.torrent", client)).result, {
      ...{ groupId: "films", fileName: "a.mkv", path: "/x.torrent" },
    });
    assert.deepEqual((await answer("export_certificate films /x.pem", client)).result, {
      ...{ groupId: "films", path: "/x.pem" },
    });
    assert.deepEqual(client.calls, [
      "listFiles films",
      "exportTorrent films a.mkv /x.torrent",
      "exportCertificate films /x.pem",
    ]);
  });
});

describe("commands of downloads", () => {
  it("download, pause, resume and cancel", async () => {
    const client = new FakeClient();
    const begun = await answer("download_file films a.mkv /x/", client);
    assert.partialDeepStrictEqual(begun.result, { state: "downloading", destinationPath: "/x/" });
    assert.match(begun.lines[0] ?? "", /^\[D\] \[films\] a\.mkv/);
    assert.deepEqual((await answer("pause films a.mkv", client)).lines, ["[P] [films] a.mkv"]);
    assert.deepEqual((await answer("resume films a.mkv", client)).lines, ["[D] [films] a.mkv"]);
    assert.deepEqual((await answer("cancel films a.mkv", client)).lines, [
      "The download of [films] a.mkv is cancelled.",
    ]);
    client.keptPath = "/x/a.mkv.part";
    const kept = await answer("cancel films a.mkv", client);
    assert.deepEqual(kept.result, { groupId: "films", fileName: "a.mkv", keptPath: "/x/a.mkv.part" });
    assert.match(
      kept.lines[0] ?? "",
      /is cancelled\. The whole file had arrived and is kept at \/x\/a\.mkv\.part;/,
    );
    assert.deepEqual(client.calls, [
      ...["downloadFile films a.mkv /x/", "pauseDownload films a.mkv", "resumeDownload films a.mkv"],
      ...["cancelDownload films a.mkv", "cancelDownload films a.mkv"],
    ]);
  });

  it("choose the files of a folder, before a download and while it runs", async () => {
    const client = new FakeClient();
    await answer("download_file films pictures /x/ --only *.jpg --only *.png --except raw/**", client);
    await answer("select films pictures --except *.png", client);
    const all = await answer("select films pictures --all", client);
    assert.partialDeepStrictEqual(all.result, { state: "downloading", fileName: "pictures" });
    assert.match(all.lines[0] ?? "", /^\[D\] \[films\] pictures/);
    assert.deepEqual(client.calls, [
      "downloadFile films pictures /x/ only:*.jpg only:*.png except:raw/**",
      "select films pictures except:*.png",
      "select films pictures",
    ]);
    assert.equal(
      await failure("select films pictures"),
      'USAGE: select needs --only, --except or --all: select films pictures --only "*.jpg"',
    );
    assert.match(await failure("select films pictures --all --only x"), /^USAGE: --all goes without --only/);
  });

  it("choose the one folder that is downloaded, if it is not named", async () => {
    const client = loggedIn();
    const folder = { fileCount: 3, chosenFiles: 2, completeFiles: 1, isFollowed: false };
    client.current = [downloading(), downloading({ fileName: "pictures", folder })];
    await answer("select --all", client);
    assert.deepEqual(client.calls, ["select films pictures"]);
  });

  it("follow the new versions of a share, and no longer", async () => {
    const client = new FakeClient();
    assert.deepEqual((await answer("follow films pictures", client)).lines, [
      "New versions of [films] pictures are fetched from now on.",
    ]);
    assert.deepEqual((await answer("unfollow films pictures", client)).lines, [
      "New versions of [films] pictures are no longer fetched by themselves.",
    ]);
    assert.deepEqual(client.calls, ["follow films pictures", "unfollow films pictures"]);
  });

  it("follow what is downloaded and shared, which is one thing and not two", async () => {
    const client = loggedIn();
    client.current = [complete("films", "pictures")];
    client.shareList = [
      { groupId: "films", fileName: "pictures", path: "/x", lengthBytes: 1, state: "served", peerCount: 0 },
    ];
    await answer("follow", client);
    assert.deepEqual(client.calls, ["follow films pictures"]);
  });

  it("list downloads, with all also those of before", async () => {
    const client = new FakeClient();
    client.current = [downloading()];
    client.completed = [complete("films", "old.mkv")];
    assert.equal((await answer("show_downloads", client)).lines.length, 1);
    for (const line of ["show_downloads all", "show_downloads --all"])
      assert.equal((await answer(line, client)).lines.length, 2);
    assert.match(
      await failure("show_downloads most", client),
      /^USAGE: show_downloads takes no argument or all.*'most'/,
    );
  });

  it("wait, and fail for the first download that is not complete, naming it and counting the others", async () => {
    const client = new FakeClient();
    const named: string[] = [];
    const changes = {
      onUnfinishedNamed: ({ fileName }: { fileName: string }): void => void named.push(fileName),
    };
    const waited = (line = "wait"): Promise<string> => failure(line, client, changes);
    assert.deepEqual((await answer("wait", client, changes)).lines, ["No download was running."]);
    client.current = [complete(), paused(undefined)];
    assert.equal((await answer("wait films a.mkv", client, changes)).lines.length, 2);
    assert.deepEqual(client.calls, ["waitForDownloads", "waitForDownloads films a.mkv"]);
    client.current = [complete(), failed()];
    assert.equal(await waited(), "CORRUPT_FILE: [F] [films] a.mkv: its SHA-1 is wrong");
    client.current = [paused("the disk is full"), failed("films", "b.mkv")];
    assert.equal(
      await waited(),
      "DOWNLOAD_PAUSED: [P] [films] a.mkv: the disk is full (and 1 more is not complete; see show_downloads)",
    );
    client.current = [downloading(), failed(), failed()];
    assert.equal(
      await waited(),
      "TIMED_OUT: [D] [films] a.mkv is not complete yet; it continues. (and 2 more are not complete; see show_downloads)",
    );
    client.current = [downloading({ waitingFor: "alice is offline" })];
    assert.equal(
      await waited(),
      "TIMED_OUT: [D] [films] a.mkv is not complete yet: alice is offline; it continues.",
    );
    assert.deepEqual(named, ["a.mkv", "a.mkv", "a.mkv", "a.mkv"]);
  });

  it("limit all or one file, and show the limits with null for none", async () => {
    const client = new FakeClient();
    assert.deepEqual((await answer("limit", client)).result, { all: { up: null, down: null }, files: [] });
    const all = await answer("limit up 5MB/s", client);
    assert.deepEqual(all.result, { all: { up: 5_000_000, down: null }, files: [] });
    assert.deepEqual(all.lines, ["All together: up at most 5 MB/s, down no limit."]);
    const one = await answer("limit down off films a.mkv", client);
    assert.partialDeepStrictEqual(one.result, { files: [{ groupId: "films", fileName: "a.mkv", up: null }] });
    assert.deepEqual(client.calls, [
      "limit up 5000000 undefined undefined",
      "limit down undefined films a.mkv",
    ]);
    assert.match(
      await failure("limit sideways 5MB/s", client),
      /^INVALID_ARGUMENT: 'sideways' is not a direction/,
    );
    assert.match(await failure("limit up fast", client), /^INVALID_ARGUMENT: 'fast' is not a rate/);
  });

  it("show peers, and why a download does not move", async () => {
    const client = new FakeClient();
    assert.match(await failure("peers films a.mkv", client), /^UNKNOWN_DOWNLOAD/);
    const { result, lines } = await answer("why films a.mkv", client);
    assert.partialDeepStrictEqual(result, { groupId: "films", fileName: "a.mkv", state: "complete" });
    assert.deepEqual(lines, ["[films] a.mkv: It is complete."]);
  });
});

describe("help and quit", () => {
  it("tell of all commands, or of one, and quit does nothing by itself", async () => {
    const all = (await answer("help")).result as { name: string }[];
    assert.deepEqual(
      all.map(({ name }) => name),
      commands.map(({ name }) => name),
    );
    const [one] = (await answer("help login")).result as Record<string, string>[];
    assert.deepEqual(one, {
      ...{ name: "login", usage: "login <user_id> [<passwd>]" },
      help: "Log in. Asks for the password if it is not given.",
    });
    assert.match(await failure("help lgin"), /^USAGE: There is no command 'lgin'\. Nearest: login/);
    assert.deepEqual(await answer("quit"), { result: {}, lines: [], calls: [] });
  });
});

describe("what may be left out", () => {
  it("fits the commands: running downloads are paused, stopped ones resumed, unfinished ones cancelled or waited for", async () => {
    const client = loggedIn();
    client.groups = [{ groupId: "films", ownerId: "alice", memberCount: 1, standing: "owner" }];
    client.current = [
      downloading({ fileName: "running.mkv" }),
      { ...paused(undefined), fileName: "stopped.mkv" },
      complete("films", "whole.mkv"),
    ];
    client.shareList = [];
    await answer("pause", client);
    await answer("resume", client);
    await answer("cancel films stopped.mkv", client);
    assert.deepEqual(client.calls, [
      "pauseDownload films running.mkv",
      "resumeDownload films stopped.mkv",
      "cancelDownload films stopped.mkv",
    ]);
    assert.match(await failure("cancel", client), /^USAGE: cancel takes 2 arguments, but got none/);
    assert.match(await failure("why", client), /2 files fit: \[films\] running\.mkv, \[films\] stopped\.mkv/);
  });
});

describe("execute", () => {
  it("gives up as soon as the person does, before the command or while it runs", async () => {
    const gaveUp = new AbortController();
    gaveUp.abort();
    const client = new FakeClient();
    assert.deepEqual(await run("list_groups", client, { signal: gaveUp.signal }), {
      ...{ kind: "abandoned", commandName: "list_groups" },
    });
    assert.deepEqual(client.calls, []);
    const later = new AbortController();
    client.delays.set("listGroups", new Promise(() => undefined));
    const running = run("list_groups", client, { signal: later.signal });
    later.abort();
    assert.deepEqual(await running, { kind: "abandoned", commandName: "list_groups" });
  });

  it("adds to an error how the arguments are ordered, and keeps its code, cause and time to wait", async () => {
    const client = loggedIn();
    client.groups = [{ groupId: "films", ownerId: "alice", memberCount: 1, standing: "owner" }];
    const cause = new Error("why");
    client.failures.set(
      "uploadFile",
      new MiniTorrentError("TRACKER_BUSY", "Wait.", { cause, retryAfterMs: 5 }),
    );
    const outcome = await run("upload_file films /a.mkv", client);
    assert.ok(outcome.kind === "failed");
    const { code, message, retryAfterMs } = outcome.error;
    assert.deepEqual([code, outcome.error.cause, retryAfterMs], ["TRACKER_BUSY", cause, 5]);
    assert.match(message, /^Wait\. The arguments of upload_file are .* Type: upload_file \/a\.mkv films$/);
    assert.deepEqual(outcome.values, ["films", "/a.mkv"]);
    const unread = await run("login 'x", client);
    assert.ok(unread.kind === "failed" && unread.values === undefined && unread.commandName === "login");
  });

  it("keeps the options in what it says of the order", async () => {
    const client = loggedIn();
    client.groups = [{ groupId: "films", ownerId: "alice", memberCount: 1, standing: "owner" }];
    client.failures.set("downloadFile", new MiniTorrentError("UNKNOWN_GROUP", "No."));
    assert.match(
      await failure("download_file x films . --only 'a b' --except c", client),
      /Type: download_file films x \. --only a\\ b --except c$/,
    );
  });

  it("leaves no listener behind on a signal that lives longer than the command", async () => {
    const { signal } = new AbortController();
    const listening: string[] = [];
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...given: Parameters<typeof add>) => {
      listening.push(given[0]);
      add(...given);
    };
    signal.removeEventListener = (...given: Parameters<typeof remove>) => {
      listening.pop();
      remove(...given);
    };
    await run("list_groups", new FakeClient(), { signal });
    await run("no_such_command", new FakeClient(), { signal });
    assert.deepEqual(listening, []);
  });
});
