import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import type { Account } from "../../../../src/api/schemas.ts";
import type { FileMetainfo } from "../../../../src/metainfo/metainfo.ts";
import { recordKey } from "../../../../src/tracker/registry/registry.ts";
import {
  adoptShares,
  checkShares,
  listFiles,
  shareFile,
  stopShare,
} from "../../../../src/tracker/rules/catalogue.ts";
import {
  acceptRequest,
  leaveGroup,
  removeMember,
  requestToJoin,
} from "../../../../src/tracker/rules/groups.ts";
import { requireGroup } from "../../../../src/tracker/rules/membership-rows.ts";
import { readTorrentKey } from "../../../../src/tracker/rules/torrents.ts";
import { accountTotals } from "../../../../src/tracker/rules/totals.ts";
import { holderId, metainfoFor, type Town, town, wholeInfoOf } from "../fixture.ts";

const ALL = { limit: Number.POSITIVE_INFINITY };
const share = (
  place: Town,
  account: Account,
  { info, sha1 }: FileMetainfo,
  writeId?: string,
  machine = holderId,
) =>
  place.as(
    account,
    (command) => shareFile(command, { groupId: "films", holderId: machine, info, sha1 }),
    writeId,
  );
const stop = (place: Town, account: Account, fileName: string, machine = holderId, everywhere = false) =>
  place.as(account, (command) =>
    stopShare(command, { groupId: "films", fileName, holderId: machine, everywhere }),
  );
const nobody = () => ({ seeders: 0, peers: 0, seederAccounts: [] });
const names = (place: Town, account: Account) =>
  listFiles(place.registry, account.accountId, "films", nobody, ALL).items.map(({ fileName }) => fileName);

test("files whose names begin so are listed by themselves", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  await place.group("films", alice);
  for (const name of ["a.mkv", "ab.mkv", "b.mkv"]) await share(place, alice, metainfoFor(name));
  const named = (prefix: string) =>
    listFiles(place.registry, alice.accountId, "films", nobody, ALL, prefix).items.map(
      ({ fileName }) => fileName,
    );
  assert.deepEqual(named("a"), ["a.mkv", "ab.mkv"]);
  assert.deepEqual(named("b."), ["b.mkv"]);
  assert.deepEqual(named("c"), []);
});

test("a file is listed with who shared it and who has it, to members alone", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice);
  const metainfo = metainfoFor("a film.mkv");
  const { infoHash, sha1 } = metainfo;
  assert.deepEqual(await share(place, alice, metainfo), { infoHash, joinedSwarm: false });
  const sharedAt = place.nowMs;
  place.nowMs += 5_000;
  assert.deepEqual(
    listFiles(
      place.registry,
      alice.accountId,
      "films",
      (asked) => {
        assert.equal(asked, infoHash);
        return { seeders: 2, peers: 3, seederAccounts: [alice.accountId, "unknown"] };
      },
      ALL,
    ).items,
    [
      {
        fileName: "a film.mkv",
        lengthBytes: 10,
        sha1,
        infoHash,
        sharedBy: "alice",
        sharedAtMs: sharedAt,
        heldBy: ["alice"],
        seedersOnline: 2,
        peersOnline: 3,
      },
    ],
  );
  const info = wholeInfoOf(place.registry, alice.accountId, "films", "a film.mkv");
  assert.deepEqual(new Uint8Array(Buffer.from(info, "base64")), new Uint8Array(metainfo.info));
  assert.throws(() => names(place, bob), { code: "NOT_A_MEMBER" });
  assert.throws(() => wholeInfoOf(place.registry, bob.accountId, "films", "a film.mkv"), {
    code: "NOT_A_MEMBER",
  });
  assert.throws(() => wholeInfoOf(place.registry, alice.accountId, "films", "b"), { code: "UNKNOWN_FILE" });
  assert.throws(() => wholeInfoOf(place.registry, alice.accountId, "books", "b"), { code: "UNKNOWN_GROUP" });
  await assert.rejects(share(place, bob, metainfo), { code: "NOT_A_MEMBER" });
});

test("content that one member alone shares gives way to other content of theirs, if they say so", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  const [first, second, third] = [1, 2, 3].map((content) => metainfoFor("film", content));
  assert.ok(first && second && third);
  const shareAs = (user: typeof alice, { info, sha1 }: typeof first, replaces?: string) =>
    place.as(user, (run) => shareFile(run, { groupId: "films", holderId, info, sha1, replaces }));
  await shareAs(alice, first);
  await assert.rejects(shareAs(alice, second), { code: "FILE_EXISTS", message: /stop_share films film/ });
  await assert.rejects(shareAs(bob, second, first.infoHash), { code: "FILE_EXISTS" });
  await assert.rejects(shareAs(alice, second, third.infoHash), { code: "FILE_EXISTS" });
  assert.equal((await shareAs(alice, second, first.infoHash)).joinedSwarm, false);
  const listed = listFiles(place.registry, bob.accountId, "films", nobody, ALL).items;
  assert.deepEqual(
    listed.map(({ infoHash }) => infoHash),
    [second.infoHash],
  );
  assert.equal((await shareAs(bob, second)).joinedSwarm, true);
  await assert.rejects(shareAs(alice, third, second.infoHash), { code: "FILE_EXISTS", message: /others/ });
});

test("the same content joins its swarm, other content under the name is refused", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  await share(place, alice, metainfoFor("film", 1));
  assert.equal((await share(place, bob, metainfoFor("film", 1))).joinedSwarm, true);
  await assert.rejects(share(place, bob, metainfoFor("film", 2)), { code: "FILE_EXISTS" });
  assert.deepEqual(names(place, alice), ["film"]);
});

test("a file lasts until the last who shares it stops, then its name is free", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  await share(place, alice, metainfoFor("film", 1));
  await assert.rejects(stop(place, bob, "film"), { code: "NOT_SHARED" });
  await share(place, bob, metainfoFor("film", 1));
  await stop(place, alice, "film");
  assert.deepEqual(names(place, alice), ["film"]);
  await stop(place, bob, "film");
  assert.deepEqual(names(place, alice), []);
  await assert.rejects(stop(place, bob, "film"), { code: "UNKNOWN_FILE" });
  assert.equal((await share(place, bob, metainfoFor("film", 2))).joinedSwarm, false);
  await stop(place, bob, "film");
  assert.equal((await share(place, bob, metainfoFor("film", 1))).joinedSwarm, false);
});

test("a file that nobody shares any more stays listed, and can be fetched, while somebody online has parts of it", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  await place.group("films", alice);
  const metainfo = metainfoFor("film");
  await share(place, alice, metainfo);
  await stop(place, alice, "film");
  const listed = (seeders: number, peers: number) =>
    listFiles(place.registry, alice.accountId, "films", () => ({ seeders, peers, seederAccounts: [] }), ALL)
      .items;
  assert.partialDeepStrictEqual(listed(0, 1), [{ fileName: "film", sharedBy: "", peersOnline: 1 }]);
  assert.deepEqual(listed(0, 0), []);
  assert.deepEqual(listed(1, 1), [], "who stopped sharing may still be announced for a moment");
  const info = (isHeld: boolean) =>
    wholeInfoOf(place.registry, alice.accountId, "films", "film", () => isHeld);
  assert.equal(info(true), Buffer.from(metainfo.info).toString("base64"));
  assert.throws(() => info(false), { code: "UNKNOWN_FILE" });
});

test("a membership that ends takes its shares along, and a later one does not bring them back", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  await share(place, bob, metainfoFor("bob's", 1));
  await share(place, bob, metainfoFor("ours", 2));
  await share(place, alice, metainfoFor("ours", 2));
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  assert.deepEqual(names(place, alice), ["ours"]);
  await place.as(bob, (command) => requestToJoin(command, "films"));
  await place.as(alice, (command) => acceptRequest(command, "films", "bob"));
  assert.deepEqual(names(place, bob), ["ours"]);
  await share(place, bob, metainfoFor("bob's", 3));
  assert.deepEqual(names(place, bob), ["bob's", "ours"]);
});

test("a group that is founded again under the name of one that ended has none of its files", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice);
  await share(place, alice, metainfoFor("film"));
  await place.as(alice, (command) => leaveGroup(command, "films"));
  await place.group("films", bob);
  assert.deepEqual(names(place, bob), []);
});

test("a metainfo that is not this group's, not sound, or not of that SHA-1 is refused", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  await place.group("films", alice);
  await assert.rejects(share(place, alice, metainfoFor("film", 1, "another CA")), {
    code: "INVALID_ARGUMENT",
  });
  const good = metainfoFor("film");
  await assert.rejects(share(place, alice, { ...good, sha1: "0".repeat(40) }), { code: "INVALID_ARGUMENT" });
  await assert.rejects(share(place, alice, { ...good, info: Buffer.from("de") }), {
    code: "MALFORMED_MESSAGE",
  });
  assert.deepEqual(names(place, alice), []);
});

test("sharing twice by the same command is answered as the first time", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  for (const [account, joinedSwarm] of [
    [alice, false],
    [bob, true],
  ] as const) {
    const writeId = randomUUID();
    assert.equal((await share(place, account, metainfoFor("film"), writeId)).joinedSwarm, joinedSwarm);
    assert.equal((await share(place, account, metainfoFor("film"), writeId)).joinedSwarm, joinedSwarm);
  }
});

test("a member who joins at one tracker while the last sharer stops at another still shares the file", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  await share(place, alice, metainfoFor("film"));
  const file = place.registry.claims("file", "")[0];
  await share(place, bob, metainfoFor("film"));
  const key = `${file?.claimId}\u001f${bob.accountId}\u001f${holderId}`;
  const bobs = place.registry.get("share", key);
  await place.write((writer) => writer.remove("share", key)); // not heard of yet
  await stop(place, alice, "film");
  assert.deepEqual(names(place, bob), []);
  await place.write((writer) => writer.put("share", key, bobs));
  assert.deepEqual(
    listFiles(place.registry, alice.accountId, "films", nobody, ALL).items.map(({ sharedBy }) => sharedBy),
    ["bob"],
  );
});

test("a share belongs to one machine of its account, and the file ends with the last of them", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  const film = metainfoFor("film");
  assert.equal((await share(place, alice, film, undefined, "laptop")).joinedSwarm, false);
  assert.equal((await share(place, alice, film, undefined, "tower")).joinedSwarm, true);
  await assert.rejects(stop(place, alice, "film", "phone"), { code: "NOT_SHARED", message: /everywhere/ });
  await stop(place, alice, "film", "laptop");
  assert.deepEqual(names(place, bob), ["film"]);
  await assert.rejects(stop(place, alice, "film", "laptop"), {
    code: "NOT_SHARED",
    message: /but from another one; stop_share films film everywhere/,
  });
  await stop(place, alice, "film", "tower");
  assert.deepEqual(names(place, bob), []);
});

test("content that another machine of the account shares too does not give way", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  await place.group("films", alice);
  const [before, after] = [metainfoFor("film", 1), metainfoFor("film", 2)];
  await share(place, alice, before, undefined, "laptop");
  await share(place, alice, before, undefined, "tower");
  const replace = (machine: string) =>
    place.as(alice, (run) =>
      shareFile(run, {
        ...{ groupId: "films", holderId: machine, info: after.info, sha1: after.sha1 },
        replaces: before.infoHash,
      }),
    );
  await assert.rejects(replace("laptop"), { code: "FILE_EXISTS", message: /another machine.*everywhere/ });
  await assert.rejects(replace("phone"), { code: "FILE_EXISTS" });
  await stop(place, alice, "film", "laptop");
  await assert.rejects(replace("laptop"), { code: "FILE_EXISTS", message: /another machine/ });
  await replace("tower");
  const [listed] = listFiles(place.registry, alice.accountId, "films", nobody, ALL).items;
  assert.equal(listed?.infoHash, after.infoHash);
});

test("shares are ended everywhere at once, and each machine can learn of it", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  const film = metainfoFor("film");
  for (const machine of ["laptop", "tower"]) await share(place, alice, film, undefined, machine);
  await share(place, bob, film, undefined, "laptop");
  const check = (account: Account, machine: string, fileName = "film") =>
    checkShares(place.registry, account.accountId, "films", machine, [{ fileName, infoHash: film.infoHash }]);
  const asBelieved = { withdrawn: [], unknown: [], updated: [] };
  assert.deepEqual(check(alice, "tower"), asBelieved);
  assert.deepEqual(check(alice, "phone"), { withdrawn: [], unknown: ["film"], updated: [] });
  assert.deepEqual(check(alice, "tower", "other"), { withdrawn: [], unknown: ["other"], updated: [] });
  await stop(place, alice, "film", "phone", true);
  assert.deepEqual(check(alice, "tower"), { withdrawn: ["film"], unknown: [], updated: [] });
  assert.deepEqual(check(bob, "laptop"), asBelieved);
  assert.deepEqual(names(place, alice), ["film"]);
  await assert.rejects(stop(place, alice, "film", "tower", true), { code: "NOT_SHARED" });
  await stop(place, bob, "film", "laptop");
  assert.deepEqual(names(place, alice), []);
  await share(place, alice, film, undefined, "tower");
  assert.deepEqual(check(alice, "tower"), asBelieved);
});

test("made-up machines take a bounded number of rows", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  const film = metainfoFor("film");
  await share(place, bob, film, undefined, "bob's");
  for (let machine = 0; machine < 200; machine++) {
    place.nowMs++;
    await share(place, alice, film, undefined, `machine ${machine}`);
  }
  const rows = place.registry.list("share", "");
  assert.ok(rows.length <= 33, `${rows.length} rows`);
  assert.ok(rows.some(({ key }) => key.endsWith("machine 199")));
  assert.deepEqual(names(place, bob), ["film"]);
});

test("one machine stops at a tracker while another shares at a partitioned one: the file stays", async (t) => {
  const [here, there] = [town(t), town(t)];
  const alice = await here.user("alice");
  await here.group("films", alice);
  await share(here, alice, metainfoFor("film"), undefined, "laptop");
  const exchange = async (): Promise<void> => {
    const [news, replies] = [
      here.registry.since(there.registry.vector, 1_000),
      there.registry.since(here.registry.vector, 1_000),
    ];
    await there.registry.merge(news, here.registry.vector, {});
    await here.registry.merge(replies, there.registry.vector, {});
  };
  await exchange();
  await stop(here, alice, "film", "laptop");
  assert.equal((await share(there, alice, metainfoFor("film"), undefined, "tower")).joinedSwarm, true);
  await exchange();
  for (const place of [here, there]) assert.deepEqual(names(place, alice), ["film"]);
  await stop(here, alice, "film", "tower");
  await exchange();
  for (const place of [here, there]) assert.deepEqual(names(place, alice), []);
  assert.equal(here.registry.digest(), there.registry.digest());
});

test("shares of a membership that ended are not looked through any more: some at once, the others soon, and none that comes late", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  const count = 50;
  for (let at = 0; at < count; at++) await share(place, bob, metainfoFor(`film${at}`, 1 + at));
  await share(place, alice, metainfoFor("film0"));
  const lookedAt = () => place.registry.anchored("share", "", { limit: 1_000 }).length;
  assert.equal(lookedAt(), count + 1);
  const [late] = place.registry.list("share", "");
  assert.ok(late);
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  assert.deepEqual(names(place, alice), ["film0"]);
  assert.ok(lookedAt() > 1 && lookedAt() < count, `${lookedAt()} shares`);
  while (place.registry.hasAnchoredLeft) await place.registry.dropAnchored(7);
  assert.equal(lookedAt(), 1);
  assert.equal(place.registry.list("share", "").length, count + 1, "the rows are kept");
  await place.as(bob, (command) => requestToJoin(command, "films"));
  await place.as(alice, (command) => acceptRequest(command, "films", "bob"));
  await share(place, bob, metainfoFor("film7", 8));
  assert.deepEqual(names(place, alice), ["film0", "film7"]);
  assert.equal(lookedAt(), 2);
  await place.write((writer) => writer.put("share", late.key, late.value));
  assert.equal(lookedAt(), 2);
});

test("what gives way leaves no share behind, and content that comes back is its new sharer's", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  const [before, after] = [metainfoFor("film", 1), metainfoFor("film", 2)];
  await share(place, alice, before);
  await place.as(alice, (run) =>
    shareFile(run, { groupId: "films", holderId, ...after, replaces: before.infoHash }),
  );
  assert.equal(place.registry.keys("share", "", { limit: 10 }).length, 1);
  await stop(place, alice, "film");
  const filesOf = ({ accountId }: Account) => place.registry.total(accountTotals.files(accountId));
  assert.deepEqual([filesOf(alice), filesOf(bob)], [0, 0]);
  const [torrentBefore] = place.registry.keys("torrent", after.infoHash, { limit: 1 });
  await share(place, bob, after);
  assert.deepEqual([filesOf(alice), filesOf(bob)], [0, 1]);
  const torrents = place.registry.keys("torrent", after.infoHash, { limit: 10 });
  assert.equal(torrents.length, 1);
  assert.notEqual(
    torrents[0],
    torrentBefore,
    "its metainfo is written anew: the old row may be removed elsewhere",
  );
});

test("a sharer who joins a file writes its metainfo only if it is missing", async (t) => {
  const place = town(t);
  const [alice, bob, carol] = [await place.user("alice"), await place.user("bob"), await place.user("carol")];
  await place.group("films", alice, bob, carol);
  const film = metainfoFor("film");
  await share(place, alice, film);
  const torrent = () => place.registry.keys("torrent", "", { limit: 10 });
  const [first = ""] = torrent();
  await share(place, bob, film);
  assert.deepEqual(torrent(), [first]);
  await place.write((writer) => writer.remove("torrent", first));
  await share(place, carol, film);
  assert.equal(torrent().length, 1);
  assert.ok(wholeInfoOf(place.registry, bob.accountId, "films", "film").length > 0);
});

test("past the most machines the one that has shared for longest gives way", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  await place.group("films", alice);
  const film = metainfoFor("film");
  for (let machine = 0; machine < 34; machine++) {
    place.nowMs++;
    await share(place, alice, film, undefined, `machine ${99 - machine}`);
  }
  const machines = place.registry.keys("share", "", { limit: 100 }).map((key) => key.split("\u001f")[2]);
  const latest = Array.from({ length: 32 }, (_, at) => `machine ${99 - 33 + at}`);
  assert.deepEqual(machines, latest);
});

test("a file stays its first sharer's while others share it; a stop that comes twice is done once", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  await share(place, alice, metainfoFor("film"));
  await share(place, bob, metainfoFor("film"));
  const writeId = randomUUID();
  for (let at = 0; at < 2; at++) {
    await place.as(
      alice,
      (command) => stopShare(command, { groupId: "films", fileName: "film", holderId }),
      writeId,
    );
  }
  const [file] = listFiles(place.registry, bob.accountId, "films", nobody, ALL).items;
  assert.equal(file?.sharedBy, "alice");
});

test("a machine's shares are checked for members alone; those of other content, or of an ended membership, are unknown", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  const film = metainfoFor("film");
  await share(place, bob, film);
  const check = (infoHash = film.infoHash) =>
    checkShares(place.registry, bob.accountId, "films", holderId, [{ fileName: "film", infoHash }]);
  assert.deepEqual(check(), { withdrawn: [], unknown: [], updated: [] });
  assert.deepEqual(check("0".repeat(40)), { withdrawn: [], unknown: ["film"], updated: [] });
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  assert.throws(() => check(), { code: "NOT_A_MEMBER" });
  await place.as(bob, (command) => requestToJoin(command, "films"));
  await place.as(alice, (command) => acceptRequest(command, "films", "bob"));
  assert.deepEqual(check(), { withdrawn: [], unknown: ["film"], updated: [] });
  await stop(place, bob, "film").catch((error) => assert.equal(error.code, "UNKNOWN_FILE"));
});

test("a share that was ended everywhere is none, also when the other sharers go without a word", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  const film = metainfoFor("film");
  await share(place, alice, film, undefined, "tower");
  await share(place, bob, film);
  await stop(place, alice, "film", "phone", true);
  await place.as(alice, (command) => removeMember(command, "films", "bob"));
  assert.deepEqual(names(place, alice), []);
  await assert.rejects(stop(place, alice, "film", "tower"), { code: "UNKNOWN_FILE" });
  const other = await share(place, alice, metainfoFor("film", 2));
  assert.equal(other.joinedSwarm, false, "its name is free");
});

test("shares are adopted with their payers, and one that is there already stays as it is", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  await place.group("films", alice);
  const film = metainfoFor("film");
  await share(place, alice, film, undefined, "tower");
  const [standing] = place.registry.claims("file", "");
  assert.ok(standing);
  const there = recordKey(standing.claimId, alice.accountId, "tower");
  const before = place.registry.get("share", there);
  await place.write((writer) => {
    const late = { sinceMs: 1, membershipId: "m" };
    writer.put("share", recordKey("lost", alice.accountId, "tower"), late, "somebody");
    writer.put("share", recordKey("lost", alice.accountId, "laptop"), late, "somebody");
  });
  const lost = {
    kind: "file",
    name: standing.name,
    claimId: "lost",
    value: { infoHash: film.infoHash },
  } as const;
  assert.equal(await place.write((writer) => adoptShares(writer, lost)), undefined);
  assert.deepEqual(place.registry.get("share", there), before);
  const adopted = recordKey(standing.claimId, alice.accountId, "laptop");
  assert.equal(place.registry.row("share", adopted, "")?.paidBy, "somebody");
});

test("a file that one of many shares is found, though dozens of rows before that one count for nothing", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice, bob);
  await share(place, alice, metainfoFor("film"));
  await share(place, bob, metainfoFor("film"));
  const [claim] = place.registry.claims("file", "");
  await place.write((writer) => {
    for (let at = 0; at < 45; at++) {
      const over = { sinceMs: 1, membershipId: "over" };
      writer.put("share", recordKey(claim?.claimId ?? "", `!account ${at}`, holderId), over);
    }
  });
  await stop(place, alice, "film");
  assert.deepEqual(names(place, bob), ["film"]);
  await stop(place, bob, "film");
  assert.deepEqual(names(place, bob), []);
});

test("a file of which somebody online has parts is fetched by members alone", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  await place.group("films", alice);
  await share(place, alice, metainfoFor("film"));
  const fetch = (account: Account) =>
    wholeInfoOf(place.registry, account.accountId, "films", "film", () => true);
  assert.ok(fetch(alice).length > 0);
  assert.throws(() => fetch(bob), { code: "NOT_A_MEMBER" });
  const [torrent = ""] = place.registry.keys("torrent", "", { limit: 1 });
  await place.write((writer) => writer.remove("torrent", torrent));
  assert.throws(() => fetch(alice), { code: "INTERNAL", message: /not here yet/ });
});

test("a list of files looks each sharer up once, and at the first sharer before all others", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  await place.group("films", alice);
  for (let at = 0; at < 20; at++) await share(place, alice, metainfoFor(`film ${at}`, at + 1));
  const [derived, anchored, claims] = [
    t.mock.method(place.registry, "derived"),
    t.mock.method(place.registry, "anchored"),
    t.mock.method(place.registry, "claimById"),
  ];
  assert.equal(names(place, alice).length, 20);
  const counts = [derived, anchored, claims].map(({ mock }) => mock.callCount());
  assert.ok((counts[0] ?? 0) < 10 && counts[1] === 0 && (counts[2] ?? 0) < 10, counts.join());
});

test("content that is shared in another group too keeps its metainfo in both", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  const metainfo = metainfoFor("a.mkv");
  const { info, sha1, infoHash } = metainfo;
  for (const groupId of ["films", "more-films"]) {
    await place.group(groupId, alice);
    await place.as(alice, (command) => shareFile(command, { groupId, holderId, info, sha1 }));
  }
  const groups = place.registry
    .keys("torrent", recordKey(infoHash, ""), { limit: 10 })
    .map((key) => readTorrentKey(key));
  assert.deepEqual(
    new Set(groups.map(({ groupClaimId }) => groupClaimId)),
    new Set(["films", "more-films"].map((groupId) => requireGroup(place.registry, groupId).claimId)),
  );
});
