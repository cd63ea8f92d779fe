// Arguments that are left out because one value fits, and those typed in another order; with a client that knows its groups.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { commands } from "../../../src/cli/commands.ts";
import { otherOrder } from "../../../src/cli/typed-arguments.ts";
import { parseCommand } from "../../../src/cli/usage.ts";
import { complete, downloading, FakeClient, failed, paused, SHA1 } from "./fake-client.ts";

function clientIn(...groupIds: string[]): FakeClient {
  const client = new FakeClient();
  client.userId = "alice";
  client.groups = groupIds.map((groupId) => ({
    ...{ groupId, ownerId: "alice", memberCount: 1, standing: "owner" as const },
  }));
  return client;
}

function share(groupId: string, fileName: string) {
  const path = `/x/${fileName}`;
  return { groupId, fileName, path, lengthBytes: 1, sha1: SHA1, state: "served" as const, peerCount: 0 };
}

const read = (client: FakeClient, line: string) => parseCommand(commands, line, client).values;

describe("arguments that are left out", () => {
  const filled: [line: string, values: string[]][] = [
    ["list_files", ["films"]],
    ["list_members", ["films"]],
    ["upload_folder /x/pictures", ["/x/pictures", "films"]],
    ["update_share pictures", ["films", "pictures"]],
    ["update_share films pictures", ["films", "pictures"]],
    ["follow pictures", ["films", "pictures"]],
    ["download_file --only *.jpg pictures ./", ["films", "pictures", "./"]],
    ["list_requests", ["films"]],
    ["upload_file /x/a.mkv", ["/x/a.mkv", "films"]],
    ["accept_request bob", ["films", "bob"]],
    ["reject_request bob", ["films", "bob"]],
    ["remove_member bob", ["films", "bob"]],
    ["download_file a.mkv ./", ["films", "a.mkv", "./"]],
    ["export_torrent a.mkv a.torrent", ["films", "a.mkv", "a.torrent"]],
    ["export_certificate a.pem", ["films", "a.pem"]],
    ["stop_share a.mkv", ["films", "a.mkv"]],
  ];
  for (const [line, values] of filled)
    it(`takes the one group for '${line}'`, () => assert.deepEqual(read(clientIn("films"), line), values));

  it("takes the one download that fits the command", () => {
    const client = clientIn("films", "books");
    const all = [
      downloading({ groupId: "films", fileName: "a.mkv" }),
      { ...paused(undefined), groupId: "books", fileName: "b.pdf" },
      complete("films", "c.mkv"),
    ];
    client.current = all;
    assert.deepEqual(read(client, "pause"), ["films", "a.mkv"]);
    assert.deepEqual(read(client, "peers"), ["films", "a.mkv"]);
    assert.deepEqual(read(client, "resume"), ["books", "b.pdf"]);
    assert.deepEqual(read(client, "limit up 5MB/s a.mkv"), ["up", "5MB/s", "films", "a.mkv"]);
    assert.deepEqual(read(client, "wait"), [], "wait alone waits for all");
    assert.deepEqual(read(client, "wait b.pdf"), ["books", "b.pdf"]);
    assert.deepEqual(read(client, "why films"), ["films", "a.mkv"]);
    client.current = all.slice(0, 1);
    assert.deepEqual(read(client, "why"), ["films", "a.mkv"]);
  });

  it("finds the group of a file that is named", () => {
    const client = clientIn("films", "books");
    client.shareList = [share("films", "a.mkv"), share("books", "b.pdf"), share("books", "a.mkv")];
    assert.deepEqual(read(client, "stop_share b.pdf"), ["books", "b.pdf"]);
    assert.deepEqual(read(client, "peers b.pdf"), ["books", "b.pdf"]);
    assert.throws(() => read(client, "stop_share a.mkv"), {
      code: "USAGE",
      message:
        "stop_share takes 2 or 3 arguments, but got 1, and 2 files fit: [films] a.mkv, [books] a.mkv. " +
        "Usage: stop_share <group_id> <file_name> [<everywhere>]",
    });
  });

  it("ends nothing that is not named", () => {
    const client = clientIn("films");
    client.current = [failed("films", "a.mkv")];
    client.shareList = [share("films", "b.mkv")];
    for (const line of [
      "leave_group",
      "cancel",
      "cancel films",
      "stop_share",
      "remove_member",
      "reject_request",
    ])
      assert.throws(() => read(client, line), { code: "USAGE" }, line);
    assert.deepEqual(read(client, "cancel a.mkv"), ["films", "a.mkv"]);
  });

  it("says what would fit where that is unclear", () => {
    const many = clientIn("a", "b", "c", "d", "e", "f", "g");
    assert.throws(() => read(many, "list_members"), {
      message:
        "list_members takes 1 argument, but got none, and you are in 7 groups: a, b, c, d, e and 2 more. Usage: list_members <group_id>",
    });
    assert.throws(
      () => read(clientIn(), "upload_file x"),
      /but got 1, and you are in no group\. Usage: upload_file/,
    );
    assert.throws(() => read(clientIn("films"), "pause"), /but got none, and no file fits\. Usage: pause/);
    assert.throws(
      () => read(clientIn("films"), "accept_request films"),
      /takes 2 arguments, but got 1\. Usage/,
    );
    assert.throws(() => read(clientIn("films"), "download_file"), /takes 3 arguments, but got none\. Usage/);
  });

  it("fills in nothing while nobody is logged in", () => {
    const client = clientIn("films");
    client.userId = undefined;
    assert.throws(() => read(client, "list_members"), /takes 1 argument, but got none\. Usage/);
  });
});

describe("arguments in another order", () => {
  const client = clientIn("films", "two words");
  client.current = [failed("old", "a.mkv")];
  const hintFor = (line: string) => {
    const { command, values } = parseCommand(commands, line, client);
    return otherOrder(command, values, client);
  };
  it("runs a complete line whatever this client knows of groups: a tracker may know more", () => {
    assert.deepEqual(read(client, "download_file new-group a.mkv films"), ["new-group", "a.mkv", "films"]);
  });

  const refused: [line: string, typed: string][] = [
    ["upload_file films /x/a.mkv", "upload_file /x/a.mkv films"],
    ["accept_request bob films", "accept_request films bob"],
    ["reject_request bob 'two words'", "reject_request two\\ words bob"],
    ["remove_member bob films", "remove_member films bob"],
    ["download_file a.mkv films ./", "download_file films a.mkv ./"],
    ["download_file ./ films a.mkv", "download_file films a.mkv ./"],
    ["download_file ./ a.mkv films", "download_file films a.mkv ./"],
    ["download_file films ./ a.mkv", "download_file films a.mkv ./"],
    ["download_file a.mkv ~/x films", "download_file films a.mkv ~/x"],
    ["stop_share a.mkv films", "stop_share films a.mkv"],
    ["why a.mkv old", "why old a.mkv"],
    ["cancel a.mkv old", "cancel old a.mkv"],
    ["export_torrent a.mkv films x.torrent", "export_torrent films a.mkv x.torrent"],
    ["export_certificate x.pem films", "export_certificate films x.pem"],
    ["limit 5MB/s up", "limit up 5MB/s"],
    ["limit up 5MB/s a.mkv films", "limit up 5MB/s films a.mkv"],
    ["limit films a.mkv up 5MB/s", "limit up 5MB/s films a.mkv"],
  ];
  for (const [line, typed] of refused) {
    it(`says how '${line}' is typed`, () => {
      const hint = hintFor(line);
      assert.match(hint ?? "", /^The arguments of \w+ are <.*>, in this order\. Type: /);
      assert.equal(hint?.split("Type: ")[1], typed);
    });
  }

  const taken = [
    "upload_file films films",
    "accept_request films films",
    "accept_request films two",
    "download_file films a.mkv films",
    "download_file elsewhere a.mkv ./",
    "join_group bob",
    "limit up 5MB/s elsewhere a.mkv",
    "limit",
    "stop_share elsewhere a.mkv everywhere",
  ];
  for (const line of taken)
    it(`takes '${line}' as it stands`, () => {
      assert.deepEqual(read(client, line), parseCommand(commands, line).values);
      assert.equal(hintFor(line), undefined);
    });
});
