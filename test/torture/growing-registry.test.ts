// What a rule costs must not grow with the registry: every rule that a client, the operator or another tracker can have run, at a
// small registry and at one with many times as many rows of each kind. GROWTH_ROWS says how many.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import pino from "pino";
import { hashOfInviteSecret, inviteIdOf, newInviteSecret } from "../../src/api/invite.ts";
import type { Account } from "../../src/api/schemas.ts";
import { Operator } from "../../src/tracker/operator.ts";
import { Connection, Connections } from "../../src/tracker/presence/client-connections.ts";
import { EventPublisher } from "../../src/tracker/presence/event-publisher.ts";
import { KnownMembers } from "../../src/tracker/presence/known-members.ts";
import {
  type FileValue,
  type GroupValue,
  operatorWriteId,
} from "../../src/tracker/registry/record-values.ts";
import { type RecordKind, type RegistryRecord, recordKey } from "../../src/tracker/registry/registry.ts";
import { accountOfDevice, createUser, logIn, logOut } from "../../src/tracker/rules/accounts.ts";
import {
  adoptShares,
  checkShares,
  isFileShared,
  listFiles,
  shareFile,
  stopShare,
} from "../../src/tracker/rules/catalogue.ts";
import { Collector } from "../../src/tracker/rules/garbage-collector.ts";
import {
  acceptRequest,
  adoptMembers,
  createGroup,
  expelAccount,
  leaveGroup,
  listGroups,
  listMembers,
  listOwnGroups,
  listRequests,
  listRevocations,
  rejectRequest,
  removeMember,
  requestToJoin,
} from "../../src/tracker/rules/groups.ts";
import { endUpload, isUnderWay, putInfoPart } from "../../src/tracker/rules/info-uploads.ts";
import {
  createInvite,
  isInviteGone,
  isInviteOver,
  listInvites,
  revokeInvite,
  useInvite,
} from "../../src/tracker/rules/invites.ts";
import { alikeOf } from "../../src/tracker/rules/look-alikes.ts";
import { membersTotal } from "../../src/tracker/rules/membership-index.ts";
import {
  countMembers,
  findGroup,
  isMemberBy,
  membershipOf,
} from "../../src/tracker/rules/membership-rows.ts";
import { infoPartOf, listInside } from "../../src/tracker/rules/metainfo-answers.ts";
import type { Command } from "../../src/tracker/rules/rule-command.ts";
import { needsParts } from "../../src/tracker/rules/torrents.ts";
import { newestVersion } from "../../src/tracker/rules/versions.ts";
import {
  authority,
  folderFor,
  holderId,
  metainfoFor,
  shareInParts,
  type Town,
  town,
  wholeInfoOf,
} from "../unit/tracker/fixture.ts";

const ROWS = Number(process.env.GROWTH_ROWS ?? 6_000);
/** More members than are read at once. */
const FEW_ROWS = 600;
/** A slice of a page. */
const PAGE = { limit: 50 };
/** Fastest of so many runs: others share the machine. */
const RUNS = 9;
/** Deeper trees and larger pages take their time; whatever reads all rows takes a hundred times as long. */
const MOST_TIMES_AS_LONG = 5;
/** Below it a measurement says nothing. */
const LEAST_MS = 0.4;

/** Statements of the start alone, or that read a few rows. */
const READ_WHOLE = [
  "FROM version",
  "FROM pending_claim",
  "totals FROM derived",
  "DELETE FROM derived",
  "DELETE FROM listed",
  "FROM ended_anchor INDEXED BY ended_anchor_left",
];

const nobody = () => ({ seeders: 0, peers: 0, seederAccounts: [] });

interface Crowd {
  readonly place: Town;
  readonly owner: Account;
  /** A member of films, of a group for each row, and the only sharer of a file for each row. */
  readonly hub: Account;
  /** In no group. */
  readonly stranger: Account;
  readonly films: string;
}

const folder = await folderFor("a folder", 1_000);

/** Stands in the texts of rows that are multiplied, also as the counter of their stamps. */
const MARK = "abcdef";
const ORIGIN = "c".repeat(16);
const stampAt = (ms: number) => `${ms.toString(16).padStart(12, "0")}-${MARK}-${ORIGIN}`;

/** The hash of the secret of an invite that many have used. */
const HELD_INVITE = "e".repeat(64);
const HELD_INVITE_ID = inviteIdOf(HELD_INVITE);

/** Rows of each kind, in which MARK stands for the number of the row. */
function markedRows(
  films: string,
  filesOfMany: { live: string; former: string },
  hub: Account,
  hubs: string,
) {
  const [accountId, groupId, fileId] = [stampAt(1), stampAt(2), stampAt(3)];
  const [endedGroup, endedFile] = [stampAt(4), stampAt(5)];
  const member = (membershipId: string, state = "member") => ({ state, sinceMs: 2_000_000, membershipId });
  const share = (membershipId: string) => ({ sinceMs: 1, membershipId });
  const group: GroupValue = {
    ownerAccountId: hub.accountId,
    ...{ authorityCertificatePem: authority.certificatePem, authorityPrivateKeyPem: "" },
  };
  const { info, infoHash, sha1 } = metainfoFor(`file${MARK}`);
  const hash = infoHash.slice(MARK.length) + MARK;
  const file: FileValue = { infoHash: hash, sha1, lengthBytes: 10, sharedByAccountId: hub.accountId };
  const revocation = { accountId, how: "removed", endedAtMs: 1_000_000 };
  const torrent = { info: Buffer.from(info).toString("base64"), broughtByAccountId: hub.accountId };
  const upload = { infoHash: hash, groupClaimId: films, partCount: 2, beganAtMs: 1 };
  const invite = { secretHash: HELD_INVITE, createdByAccountId: hub.accountId, createdAtMs: 1 };
  const claims: [RecordKind, string, string, unknown][] = [
    ["user", `user${MARK}`, accountId, { createdAtMs: 1 }],
    ["group", `group${MARK}`, groupId, group],
    ["group", "founded and left", endedGroup, undefined],
    ["file", recordKey(films, `file${MARK}`), fileId, file],
    ["file", recordKey(films, "of many contents"), endedFile, undefined],
  ];
  const others: [RecordKind, string, unknown][] = [
    ["credential", accountId, { passwordHash: "" }],
    ["device", `device${MARK}`, { accountId: hub.accountId, seenAtMs: 1 }],
    ["membership", recordKey(films, accountId, `m${MARK}`), member(`m${MARK}`)],
    ["membership", recordKey(films, stampAt(6), `asks${MARK}`), member(`asks${MARK}`, "requested")],
    ["user", "", undefined],
    ["membership", recordKey(films, accountId, `old${MARK}`), undefined],
    ["membership", recordKey(films, hub.accountId, `hub${MARK}`), undefined],
    ["membership", recordKey(groupId, hub.accountId, `g${MARK}`), member(`g${MARK}`)],
    ["revocation", recordKey(films, `old${MARK}`), revocation],
    ["share", recordKey(filesOfMany.live, accountId, holderId), share(`m${MARK}`)],
    ["share", recordKey(filesOfMany.former, accountId, holderId), share(`old${MARK}`)],
    ["share", recordKey(fileId, hub.accountId, holderId), share(hubs)],
    ["torrent", recordKey(hash, films, `file${MARK}`, "w"), torrent],
    [
      "version",
      recordKey(endedFile, "w"),
      { infoHash: hash, lengthBytes: 10, number: 1, publishedByAccountId: "" },
    ],
    ["invite", recordKey(films, `i${MARK}`), { ...invite, expiresAtMs: 1 }],
    ["inviteRevocation", recordKey(films, `i${MARK}`, "revoked"), { revokedAtMs: 1 }],
    ["inviteUse", recordKey(films, HELD_INVITE_ID, accountId), { usedAtMs: 1, membershipId: `m${MARK}` }],
    ["infoUpload", recordKey(accountId, `u${MARK}`), upload],
    ["infoPart", recordKey(hash, accountId, `u${MARK}`, "0000"), { part: "" }],
    // The same folder, sent by many accounts.
    ["infoPart", recordKey(folder.infoHash, accountId, `u${MARK}`, "0000"), { part: "" }],
  ];
  const asking: [RecordKind, string, string, unknown] = [
    "user",
    `asks${MARK}`,
    stampAt(6),
    { createdAtMs: 1 },
  ];
  const rows = [
    ...[...claims, asking].map(([kind, key, claimId, value]) => ({
      kind,
      key,
      claimId,
      value,
      stamp: claimId,
    })),
    ...others
      .filter(([kind]) => kind !== "user")
      .map(([kind, key, value], at) => ({ kind, key, claimId: "", value, stamp: stampAt(10 + at) })),
  ];
  return rows.map(
    (row, at): RegistryRecord => ({ ...row, origin: ORIGIN, seq: at + 1, writeId: `w${at}${MARK}` }),
  );
}

/** Adds the rows that MARK stands in so many times, with what is derived of them, behind the registry's back. */
function multiply(database: DatabaseSync, rows: number): void {
  database.function("alike_of", (kind, key) => alikeOf(String(kind) as RecordKind, String(key)));
  const tables = ["record", "derived", "listed", "ended_anchor", "total"];
  for (const table of tables) {
    const columns = database.prepare("SELECT name, type FROM pragma_table_info(?)").all(table);
    const names = columns.map(({ name }) => String(name));
    const texts = columns.filter(({ type }) => type === "TEXT").map(({ name }) => String(name));
    const copied = names.map((name) => {
      if (name === "alike") {
        return `CASE alike WHEN '' THEN '' ELSE alike_of(kind, replace(key, '${MARK}', printf('%06x', i))) END`;
      }
      if (texts.includes(name)) return `replace(${name}, '${MARK}', printf('%06x', i))`;
      return name === "seq" ? "seq + 100 * i" : name;
    });
    const isMarked = texts.map((name) => `instr(coalesce(${name}, ''), '${MARK}') > 0`).join(" OR ");
    database.exec(`
      WITH RECURSIVE number(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < ${rows})
      INSERT INTO ${table} (${names.join()}) SELECT ${copied.join()} FROM ${table}, number WHERE ${isMarked}`);
  }
}

/** A registry with so many rows of each kind between the same few things, and between as many others. */
async function crowd(t: TestContext, rows: number): Promise<Crowd> {
  databases.length = 0;
  const place = town(t);
  const [database] = databases;
  assert.ok(database);
  const [owner, hub, stranger] = [
    await place.user("owner"),
    await place.user("hub"),
    await place.user("stranger"),
  ];
  await place.group("films", owner, hub);
  const films = findGroup(place.registry, "films")?.claimId ?? "";
  const names = ["shared by many", "shared by former members", "of many contents"];
  for (const name of names) await place.as(hub, (command) => share(command, name));
  await shareInParts(place, hub, "films", folder);
  // Later than all removals here.
  const held = { secretHash: HELD_INVITE, createdByAccountId: "", createdAtMs: 2_000_000, expiresAtMs: 9e12 };
  await place.write((writer) => writer.put("invite", recordKey(films, HELD_INVITE_ID), held));
  // The only one who shared them and is a member: whoever looks for another one looks through all who were.
  for (const name of names.slice(1)) await place.as(hub, (command) => stop(command, name));
  const fileOf = (name: string) => place.registry.claim("file", recordKey(films, name))?.claimId ?? "";
  const hubs = membershipOf(place.registry, films, hub.accountId)?.membershipId ?? "";
  const filesOfMany = { live: fileOf("shared by many"), former: fileOf("shared by former members") };
  await place.registry.merge(markedRows(films, filesOfMany, hub, hubs));
  multiply(database, rows);
  const counted = database.prepare("UPDATE total SET amount = amount + ? WHERE name = ?");
  counted.run(rows, membersTotal(films));
  return { place, owner, hub, stranger, films };
}

function share(command: Command, fileName: string, content = 1, groupId = "films", replaces?: string) {
  const { info, sha1 } = metainfoFor(fileName, content);
  return shareFile(command, { groupId, holderId, info, sha1, replaces });
}

function stop(command: Command, fileName: string) {
  stopShare(command, { groupId: "films", fileName, holderId });
}

/** What is run: `before` makes what it needs, uncounted. */
interface Work {
  readonly before?: (crowd: Crowd) => unknown;
  readonly run: (crowd: Crowd) => unknown;
}

function rule(by: "owner" | "hub" | "stranger", run: (command: Command) => unknown): Work["run"] {
  return (crowd) => crowd.place.as(crowd[by], run);
}

const asks = rule("stranger", (command) => requestToJoin(command, "films"));
const accepts = rule("owner", (command) => acceptRequest(command, "films", "stranger"));
const rejects = rule("owner", (command) => rejectRequest(command, "films", "stranger"));
const leaves = rule("stranger", (command) => leaveGroup(command, "films"));
const leavesOrIsRejected = async (crowd: Crowd) => {
  const state = membershipOf(crowd.place.registry, crowd.films, crowd.stranger.accountId)?.state;
  if (state === "member") await leaves(crowd);
  if (state === "requested") await rejects(crowd);
};
const asksAgain = async (crowd: Crowd) => {
  await leavesOrIsRejected(crowd);
  await asks(crowd);
};
const joins = async (crowd: Crowd) => {
  await asksAgain(crowd);
  await accepts(crowd);
};
let founded = 0;
let lastInvite = "";
const invites = rule("owner", (command) => {
  lastInvite = hashOfInviteSecret(newInviteSecret());
  createInvite(command, { groupId: "films", secretHash: lastInvite });
});

const works: Readonly<Record<string, Work>> = {
  "session.createUser": {
    run: ({ place }) =>
      place.write((writer) => createUser(writer, randomUUID(), `new${++founded}`, { passwordHash: "" }, 1)),
  },
  "session.createUser of a name that is held": {
    run: ({ place }) =>
      place
        .write((writer) => createUser(writer, randomUUID(), "hub", { passwordHash: "" }, 1))
        .catch(() => {}),
  },
  "session.login": {
    run: ({ place, hub }) => place.write((writer) => logIn(writer, `d${++founded}`, hub, 1)),
  },
  "session.logout": {
    before: ({ place, hub }) => place.write((writer) => logIn(writer, "d", hub, 1)),
    run: ({ place }) => place.write((writer) => logOut(writer, "d")),
  },
  "session.resume": { run: ({ place }) => accountOfDevice(place.registry, "device000007") },
  "groups.create": {
    run: rule("hub", (command) => createGroup(command, `new${++founded}`, authority, randomUUID())),
  },
  "groups.create of a name that many groups had": {
    run: rule("hub", (command) => createGroup(command, "founded and left", authority, randomUUID())),
    before: rule("hub", (command) => {
      if (findGroup(command.writer, "founded and left") !== undefined)
        leaveGroup(command, "founded and left");
    }),
  },
  "groups.join": { before: leavesOrIsRejected, run: asks },
  "groups.reject": { before: asksAgain, run: rejects },
  "groups.accept": { before: asksAgain, run: accepts },
  "groups.leave": { before: joins, run: leaves },
  "groups.leave by the owner of many": {
    before: async ({ place, hub, stranger }) => {
      await place.as(hub, (command) => createGroup(command, `new${++founded}`, authority, randomUUID()));
      await place.as(stranger, (command) => requestToJoin(command, `new${founded}`));
      await place.as(hub, (command) => acceptRequest(command, `new${founded}`, "stranger"));
    },
    run: rule("hub", (command) => leaveGroup(command, `new${founded}`)),
  },
  "groups.remove": {
    before: joins,
    run: rule("owner", (command) => removeMember(command, "films", "stranger")),
  },
  "expelling an account": {
    before: joins,
    run: ({ place, stranger, films }) => place.as(stranger, (command) => expelAccount(command, films)),
  },
  "groups.mine": { run: ({ place, hub }) => listOwnGroups(place.registry, hub.accountId, PAGE) },
  "groups.list": { run: ({ place, hub }) => listGroups(place.registry, hub.accountId, PAGE) },
  "groups.requests": {
    run: ({ place, owner }) => listRequests(place.registry, owner.accountId, "films", PAGE),
  },
  "groups.createInvite": { run: invites },
  "groups.invites": {
    run: ({ place, owner }) => listInvites(place.registry, owner.accountId, "films", place.nowMs, PAGE),
  },
  "groups.revokeInvite": {
    before: invites,
    run: rule("owner", (command) => revokeInvite(command, "films", inviteIdOf(lastInvite))),
  },
  "groups.useInvite": {
    before: leavesOrIsRejected,
    run: ({ place, stranger, films }) =>
      place.as(stranger, (command) => useInvite(command, films, HELD_INVITE)),
  },
  "groups.useInvite of one that does not hold": {
    before: leavesOrIsRejected,
    run: ({ place, stranger, films }) =>
      place.as(stranger, (command) => useInvite(command, films, "f".repeat(64))).catch(() => {}),
  },
  "whether an invite is over, asked by the collector": {
    run: ({ place, films }) => [
      isInviteOver(place.registry, recordKey(films, HELD_INVITE_ID), place.nowMs),
      isInviteGone(place.registry, recordKey(films, HELD_INVITE_ID, "a")),
    ],
  },
  "groups.members": {
    run: ({ place, owner }) => listMembers(place.registry, owner.accountId, "films", () => true, PAGE),
  },
  "groups.revocations": {
    run: ({ place, owner }) => listRevocations(place.registry, owner.accountId, ["films"], 0, PAGE),
  },
  "groups.revocations since lately": {
    run: ({ place, owner }) => listRevocations(place.registry, owner.accountId, ["films"], 2_000_000, PAGE),
  },
  "groups.certificate": {
    run: ({ place, hub, films }) => [
      findGroup(place.registry, "films"),
      isMemberBy(place.registry, films, hub.accountId, "m"),
      countMembers(place.registry, films),
    ],
  },
  "files.list": { run: ({ place, hub }) => listFiles(place.registry, hub.accountId, "films", nobody, PAGE) },
  "files.list where former members shared": {
    run: ({ place, hub }) =>
      listFiles(place.registry, hub.accountId, "films", nobody, { after: "shared by a", limit: 4 }),
  },
  "files.share": { run: rule("hub", (command) => share(command, `new${++founded}`)) },
  "files.share as one of many": {
    before: rule("owner", (command) => share(command, "shared by many")),
    run: rule("owner", (command) => share(command, "shared by many")),
  },
  "files.share under a name with other content": {
    run: ({ place, owner }) =>
      place.as(owner, (command) => share(command, "shared by many", 2)).catch(() => {}),
  },
  "files.share after many who are no members now": {
    before: ({ place, owner }) =>
      place.as(owner, (command) => stop(command, "shared by former members")).catch(() => {}),
    run: rule("owner", (command) => share(command, "shared by former members")),
  },
  "files.stopShare after many who are no members now": {
    before: rule("owner", (command) => share(command, "shared by former members")),
    run: rule("owner", (command) => stop(command, "shared by former members")),
  },
  "files.share of other content after many who are no members now": {
    before: ({ place, owner }) =>
      place.as(owner, (command) => stop(command, "shared by former members")).catch(() => {}),
    run: rule("owner", (command) => share(command, "shared by former members", (++founded % 200) + 1)),
  },
  "files.share under a name that had many contents": {
    run: rule("hub", (command) => share(command, "of many contents", (++founded % 200) + 1)),
    before: ({ place, hub }) => place.as(hub, (command) => stop(command, "of many contents")).catch(() => {}),
  },
  "files.share of a new version": {
    run: ({ place, hub, films }) =>
      place
        .as(hub, (command) => {
          const claim = command.writer.claim("file", recordKey(films, "shared by many"));
          const replaces = claim && newestVersion(command.writer, claim).infoHash;
          const { info, sha1 } = metainfoFor("shared by many", 3);
          shareFile(command, { groupId: "films", holderId, info, sha1, replaces, isUpdate: true });
          throw new Error("undone");
        })
        .catch(({ message }: Error) => assert.equal(message, "undone")),
  },
  "files.putInfoPart": {
    run: rule("owner", (command) =>
      putInfoPart(command, {
        ...{ groupId: "films", infoHash: folder.infoHash, uploadId: "u" },
        ...{ partIndex: ++founded, partCount: founded + 1, part: "AAAA" },
      }),
    ),
    before: rule("owner", ({ writer, account }) =>
      endUpload(writer, { accountId: account.accountId, infoHash: folder.infoHash, uploadId: "u" }),
    ),
  },
  "files.infoPart": {
    run: ({ place, hub }) =>
      infoPartOf(place.registry, hub.accountId, {
        ...{ groupId: "films", infoHash: folder.infoHash, partIndex: 1 },
      }),
  },
  "files.listInside": {
    run: ({ place, hub }) =>
      listInside(place.registry, hub.accountId, { groupId: "films", fileName: "a folder" }, undefined),
  },
  "whether parts are needed, asked by the collector": {
    run: ({ place, hub }) => {
      const upload = { infoHash: folder.infoHash, accountId: hub.accountId, uploadId: "u" };
      return [isUnderWay(place.registry, upload), needsParts(place.registry, upload)];
    },
  },
  "files.metainfo": {
    run: ({ place, hub }) => wholeInfoOf(place.registry, hub.accountId, "films", "shared by many"),
  },
  "files.checkShares": {
    run: ({ place, hub }) =>
      checkShares(place.registry, hub.accountId, "films", holderId, [
        { fileName: "shared by many", infoHash: metainfoFor("shared by many").infoHash },
      ]),
  },
  "whether a file is shared, asked by the collector": {
    run: ({ place, films }) =>
      isFileShared(
        place.registry,
        films,
        "shared by former members",
        metainfoFor("shared by former members").infoHash,
      ),
  },
  "a step of the collector": {
    run: async ({ place }) => {
      const collector = new Collector({
        registry: place.registry,
        write: (work) => place.write(work),
        connectedEra: () => "",
        isAnnounced: () => false,
        connectedDevices: () => [],
        nowMs: () => 2,
        uptimeMs: () => 0,
        setTimer: () => () => {},
        log: pino({ level: "silent" }),
      });
      await collector.step();
    },
  },
  "telling a group of a file": { run: tellOf("file") },
  "telling a group of an end": { run: tellOf("revocation") },
  "telling a group of its end": { run: tellOf("group") },
  "a claim that comes from another tracker, on a name that had many contents": {
    run: async ({ place, films }) => {
      const stamp = stampAt(++founded).replace(MARK, "000000");
      const record = {
        kind: "file",
        key: recordKey(films, "of many contents"),
        claimId: stamp,
        stamp,
      } as const;
      const { changed } = await place.registry.merge([
        { ...record, value: {}, origin: ORIGIN, seq: 1_000 + founded, writeId: "of many contents" },
        {
          ...record,
          claimId: stamp.replace("000000", "000001"),
          value: {},
          origin: ORIGIN,
          seq: 1_001 + founded,
          writeId: "of many contents",
        },
      ]);
      assert.equal(changed.length, 2);
    },
  },
  "the operator's page of accounts": { run: ({ place }) => operatorOf(place).accounts("", undefined, 50) },
  "the operator's page of groups": { run: ({ place }) => operatorOf(place).groups("", undefined, 50) },
  "the operator's account": { run: ({ place }) => operatorOf(place).account("hub") },
  "the operator's group": { run: ({ place }) => operatorOf(place).group("films") },
  "a chunk of rows for another tracker": { run: ({ place }) => place.registry.since({}, 100) },
  "a look for damage": { run: ({ place }) => void place.registry.checkRows(50) },
  "members moved to a group founded twice": {
    run: ({ place, films }) =>
      place
        .write((writer) => {
          const { claimId } = findGroup(writer, "group000003") ?? {};
          assert.ok(claimId !== undefined);
          adoptMembers(writer, films, claimId);
          throw new Error("undone");
        })
        .catch(() => {}),
  },
  "shares moved to a claim that won": {
    run: ({ place, films }) =>
      place.write((writer) => {
        const name = recordKey(films, "shared by many");
        const { claimId = "", value } = writer.claim("file", name) ?? {};
        adoptShares(writer, { kind: "file", name, claimId, value });
      }),
  },
};

/** A turn of the event loop in which clients are told of what happened in a group. */
function tellOf(kind: "file" | "revocation" | "group"): Work["run"] {
  return ({ place, owner, hub, films }) => {
    const connections = new Connections();
    for (const account of [owner, hub]) {
      const facts = { id: account.userId, host: "192.0.2.1", deviceId: account.userId };
      const connection = new Connection({ ...facts, publicKeySpki: new Uint8Array() });
      connections.add(connection);
      connections.logIn(connection, account);
    }
    const publisher = new EventPublisher(
      place.registry,
      new KnownMembers(place.registry),
      connections,
      () => [],
      () => () => {},
    );
    const row = {
      stamp: stampAt(1),
      origin: ORIGIN,
      seq: 1,
      writeId: operatorWriteId(),
      claimId: "",
    } as const;
    const name = recordKey(films, "shared by many");
    const file = place.registry.claim("file", name);
    const ended = { accountId: hub.accountId, how: "left", endedAtMs: 1 };
    const records: Record<typeof kind, RegistryRecord> = {
      file: { ...row, kind, key: name, claimId: file?.claimId ?? "", value: { ...file?.value } },
      revocation: { ...row, kind, key: recordKey(films, "m"), value: ended },
      group: { ...row, kind, key: "films", claimId: films, value: undefined },
    };
    publisher.changed([records[kind]], []);
    publisher.close();
  };
}

function operatorOf(place: Town): Operator {
  return new Operator({
    registry: place.registry,
    write: async (writeId, work) => {
      await place.write(work, writeId);
      return [];
    },
    nowMs: () => 1,
  });
}

/** Rows that SQLite returns to statements, and the time, while `run` runs. */
async function costOf(work: Work, crowd: Crowd): Promise<{ rows: number; ms: number }> {
  let [rows, ms] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let run = 0; run < RUNS; run++) {
    await work.before?.(crowd);
    returned.rows = 0;
    const startedMs = performance.now();
    await work.run(crowd);
    ms = Math.min(ms, performance.now() - startedMs);
    rows = Math.min(rows, returned.rows);
  }
  return { rows, ms };
}

const returned = { rows: 0 };
/** Those that were opened. */
const databases: DatabaseSync[] = [];

function countRows(t: TestContext): void {
  const { prepare } = DatabaseSync.prototype;
  t.mock.method(DatabaseSync.prototype, "prepare", function (this: DatabaseSync, sql: string) {
    if (!databases.includes(this)) databases.push(this);
    return prepare.call(this, sql);
  });
  const { get, all, iterate, run } = StatementSync.prototype;
  t.mock.method(
    StatementSync.prototype,
    "get",
    function (this: StatementSync, ...args: Parameters<StatementSync["get"]>) {
      returned.rows++;
      return get.apply(this, args);
    },
  );
  t.mock.method(
    StatementSync.prototype,
    "run",
    function (this: StatementSync, ...args: Parameters<StatementSync["get"]>) {
      returned.rows++;
      return run.apply(this, args);
    },
  );
  t.mock.method(
    StatementSync.prototype,
    "all",
    function (this: StatementSync, ...args: Parameters<StatementSync["get"]>) {
      const rows = all.apply(this, args);
      returned.rows += 1 + rows.length;
      return rows;
    },
  );
  t.mock.method(
    StatementSync.prototype,
    "iterate",
    function* (this: StatementSync, ...args: Parameters<StatementSync["get"]>) {
      for (const row of iterate.apply(this, args)) {
        returned.rows++;
        yield row;
      }
    },
  );
}

test("no rule costs more as the registry grows", async (t) => {
  countRows(t);
  const [small, large] = [await crowd(t, FEW_ROWS), await crowd(t, ROWS)];
  const grown: string[] = [];
  for (const [name, work] of Object.entries(works)) {
    const few = await costOf(work, small);
    const many = await costOf(work, large);
    const line = `${name}: ${few.rows} → ${many.rows} rows, ${few.ms.toFixed(2)} → ${many.ms.toFixed(2)} ms`;
    if (process.env.GROWTH_ROWS !== undefined) t.diagnostic(line);
    const isLonger = many.ms > LEAST_MS && many.ms > MOST_TIMES_AS_LONG * few.ms;
    if (many.rows > few.rows + 10 || isLonger) grown.push(line);
  }
  assert.deepEqual(grown, []);
});

test("no statement of the registry reads a whole table", (t) => {
  const statements = new Map<string, DatabaseSync>();
  const { prepare } = DatabaseSync.prototype;
  t.mock.method(DatabaseSync.prototype, "prepare", function (this: DatabaseSync, sql: string) {
    statements.set(sql, this);
    return prepare.call(this, sql);
  });
  town(t);
  assert.ok(statements.size > 40);
  const bad: string[] = [];
  for (const [sql, database] of statements) {
    const plan = prepare.call(database, `EXPLAIN QUERY PLAN ${sql}`);
    const parameters = Array.from(sql.matchAll(/\?/g), () => null);
    const steps = plan.all(...parameters).map(({ detail }) => String(detail));
    const isWhole = steps.some((step) => /^SCAN (?!CONSTANT)/.test(step));
    if (isWhole && !READ_WHOLE.some((start) => sql.includes(start))) bad.push(`${sql}: ${steps.join("; ")}`);
  }
  assert.deepEqual(bad, []);
});
