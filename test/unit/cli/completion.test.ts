// What Tab offers, for each kind of argument, quoted as it has to be.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { commands } from "../../../src/cli/commands.ts";
import { completeLine } from "../../../src/cli/completion.ts";
import { watchTimers } from "../net/open-timers.ts";
import { downloading, FakeClient } from "./fake-client.ts";

const client = new FakeClient();
client.userId = "alice";
client.groups = [
  { groupId: "films", ownerId: "alice", memberCount: 1, standing: "owner" },
  { groupId: "fotos", ownerId: "bob", memberCount: 1, standing: "member" },
  { groupId: "fonts", ownerId: "bob", memberCount: 1, standing: "requested" },
  { groupId: "forest", ownerId: "bob", memberCount: 1 },
];
client.requests = [{ userId: "carol", sinceMs: 0 }];
client.members = [
  { userId: "alice", isOwner: true, isOnline: true, sinceMs: 0 },
  { userId: "bob", isOwner: false, isOnline: true, sinceMs: 0 },
];
const file = { lengthBytes: 1, sha1: "", infoHash: "", sharedBy: "bob", seedersOnline: 0, peersOnline: 0 };
client.invites = [
  {
    inviteId: "0a1b",
    createdBy: "alice",
    createdAtMs: 0,
    expiresAtMs: 1,
    useCount: 0,
    usedBy: [],
    state: "active",
  },
];
client.files = ["two words.mkv", "it's.mkv", "tw\u202E.mkv"].map((fileName) => ({ ...file, fileName }));
client.current = [
  downloading({ fileName: "a.mkv" }),
  downloading({ fileName: "b.mkv" }),
  downloading({ groupId: "fotos", fileName: "c.jpg" }),
];
const offers = async (line: string) => (await completeLine(commands, client, line))[0];

describe("completeLine", () => {
  const cases: [string, string[]][] = [
    ["log", ["login ", "logout "]],
    ["list_files f", ["films ", "fotos "]],
    ["list_files ", ["films ", "fotos "]],
    ["join_group f", ["forest "]],
    ["accept_request films ", ["carol "]],
    ["remove_member films ", ["bob "]],
    ["revoke_invite films ", ["0a1b "]],
    ["create_invite films --", ["--expires ", "--uses "]],
    ["download_file films t", ["two\\ words.mkv "]],
    ['download_file films "t', ['"two words.mkv" ']],
    ["download_file films two\\ w", ["two\\ words.mkv "]],
    ["download_file films i", ["it\\'s.mkv "]],
    ["download_file films --", ["--except ", "--only "]],
    ["download_file films --o", ["--only "]],
    ["download_file films --only t", []],
    ["download_file --only=*.jpg films t", ["two\\ words.mkv "]],
    ["download_file films --only *.jpg t", ["two\\ words.mkv "]],
    ["select fi", ["films "]],
    ["select films --all ", ["a.mkv ", "b.mkv "]],
    ["select films a.mkv --a", ["--all "]],
    ["update_share films t", ["two\\ words.mkv "]],
    ["pause films --", []],
    ["pause ", ["films ", "fotos "]],
    ["pause films ", ["a.mkv ", "b.mkv "]],
    ["wait fotos ", ["c.jpg "]],
    ["help who", ["whoami "]],
    ["limit ", ["down ", "up "]],
    ["limit up o", ["off "]],
    ["limit up off fi", ["films "]],
    ["limit up off films t", ["two\\ words.mkv "]],
    ["create_group f", []],
    ["login alice ", []],
    ["list_groups ", []],
    ["nonsense ", []],
    ["", commands.map(({ name }) => `${name} `).sort()],
  ];
  for (const [line, expected] of cases) {
    it(`offers ${expected.length > 3 ? "all commands" : expected.join("| ") || "nothing"} for '${line}'`, async () => {
      assert.deepEqual(await offers(line), expected);
    });
  }

  it("asks for one page of names that begin as what is typed, and for no whole list", async () => {
    const asked = new FakeClient();
    for (const line of [
      "join_group fo",
      "download_file films two\\ w",
      "accept_request films ",
      "remove_member films b",
    ])
      await completeLine(commands, asked, line);
    assert.deepEqual(asked.calls, [
      ...["namesOf groups fo", "namesOf files two w", "namesOf requests ", "namesOf members b"],
    ]);
  });

  it("tells which part of the line the offers stand for", async () => {
    assert.equal((await completeLine(commands, client, "download_file films two\\ w"))[1], "two\\ w");
    assert.equal((await completeLine(commands, client, "list_files "))[1], "");
  });

  it("offers nothing when the tracker refuses", async () => {
    const refused = new FakeClient();
    refused.failures.set("namesOf", new MiniTorrentError("NOT_LOGGED_IN", "Log in first."));
    assert.deepEqual(await completeLine(commands, refused, "list_files films"), [[], "films"]);
    assert.deepEqual(await completeLine(commands, refused, "download_file films "), [[], ""]);
  });

  it("offers nothing when the tracker does not answer in time", async (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    const silent = new FakeClient();
    silent.delays.set("namesOf", new Promise(() => {}));
    const completion = completeLine(commands, silent, "download_file films ");
    context.mock.timers.tick(1000);
    assert.deepEqual(await completion, [[], ""]);
  });
});

describe("completeLine for paths", () => {
  const folder = mkdtempSync(join(tmpdir(), "completion-"));
  after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "my films"));
  writeFileSync(join(folder, "my films", "a.mkv"), "");
  writeFileSync(join(folder, "mine"), "");
  writeFileSync(join(folder, ".hidden"), "");
  symlinkSync(join(folder, "my films"), join(folder, "link"));

  it("offers files and folders, and goes on into folders", async () => {
    assert.deepEqual(await offers(`upload_file ${folder}/m`), [`${folder}/mine `, `${folder}/my\\ films/`]);
    assert.deepEqual(await offers(`upload_file ${folder}/my\\ films/`), [`${folder}/my\\ films/a.mkv `]);
    assert.deepEqual(await offers(`upload_file "${folder}/my films/`), [`"${folder}/my films/a.mkv" `]);
    assert.deepEqual(await offers(`download_file films x ${folder}/l`), [`${folder}/link/`]);
  });

  it("shows hidden files only to who asks for them, and nothing of folders that there are not", async () => {
    assert.equal((await offers(`upload_file ${folder}/`)).length, 3);
    assert.deepEqual(await offers(`upload_file ${folder}/.h`), [`${folder}/.hidden `]);
    assert.deepEqual(await offers(`upload_file ${folder}/none/`), []);
    assert.deepEqual(await offers("upload_file ~"), ["~/"]);
  });
});

it("leaves no timer behind once there are offers, or there is nothing to offer", async (t) => {
  const timers = watchTimers(t);
  await offers("list_files f");
  await offers("nonsense ");
  assert.equal(timers.open.size, 0);
});
