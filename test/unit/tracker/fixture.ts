// A registry in memory with people in it, for the tests of rules: what a command would do, without trackers.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { TestContext } from "node:test";
import type { Account } from "../../../src/api/schemas.ts";
import { FileLayoutBuilder } from "../../../src/metainfo/file-layout.ts";
import { cutInfo } from "../../../src/metainfo/info-parts.ts";
import {
  encodeFolderMetainfo,
  encodeMetainfo,
  type FileMetainfo,
  type FolderMetainfo,
} from "../../../src/metainfo/metainfo.ts";
import type { RegistryReader, RegistryWriter } from "../../../src/tracker/registry/registry.ts";
import { SqliteRegistry } from "../../../src/tracker/registry/sqlite-registry.ts";
import { createUser } from "../../../src/tracker/rules/accounts.ts";
import { shareFile } from "../../../src/tracker/rules/catalogue.ts";
import { acceptRequest, createGroup, requestToJoin } from "../../../src/tracker/rules/groups.ts";
import { putInfoPart } from "../../../src/tracker/rules/info-uploads.ts";
import { alikeOf } from "../../../src/tracker/rules/look-alikes.ts";
import { standingsDerivation } from "../../../src/tracker/rules/membership-index.ts";
import { requireGroup } from "../../../src/tracker/rules/membership-rows.ts";
import { type IsHeld, metainfoOf } from "../../../src/tracker/rules/metainfo-answers.ts";
import type { Command } from "../../../src/tracker/rules/rule-command.ts";
import { shareAnchors } from "../../../src/tracker/rules/share-anchors.ts";
import { totalsOf } from "../../../src/tracker/rules/totals.ts";
import { checkInfo } from "../../../src/tracker/server/info-check.ts";

export interface Town {
  readonly registry: SqliteRegistry;
  /** The clock that commands are given; tests set it. */
  nowMs: number;
  write<T>(work: (writer: RegistryWriter) => T, writeId?: string): Promise<T>;
  user(userId: string): Promise<Account>;
  /** Runs a rule as that account. */
  as<T>(account: Account, rule: (command: Command) => T, writeId?: string): Promise<T>;
  /** A group of the first, with the others accepted in that order, a second apart. */
  group(groupId: string, owner: Account, ...members: readonly Account[]): Promise<void>;
}

/** The one machine that each account shares from, where a test is not about machines. */
export const holderId = "66d0a6a5-5b3e-4b57-8f0c-3a9a2f0c7d11";

/** Not a certificate: rules only compare it. */
export const authority = { certificatePem: "the CA of films", privateKeyPem: "its key" };

/** @param stampMs the clock of the registry's stamps */
export function town(t: TestContext, stampMs: () => number = Date.now): Town {
  const registry = SqliteRegistry.open({
    path: ":memory:",
    nowMs: stampMs,
    totalsOf,
    alikeOf,
    derivation: standingsDerivation,
    anchors: shareAnchors,
  });
  t.after(() => registry.close());
  const town: Town = {
    registry,
    nowMs: 1_000_000,
    write: async (work, writeId = randomUUID()) => (await registry.transact(writeId, work)).result,
    user: async (userId) => {
      await town.write((writer) => createUser(writer, "none", userId, { passwordHash: "" }, town.nowMs));
      return { userId, accountId: registry.claim("user", userId)?.claimId ?? "" };
    },
    as: (account, rule, writeId = randomUUID()) => {
      const { nowMs } = town;
      return town.write((writer) => rule({ writer, writeId, account, nowMs }), writeId);
    },
    group: async (groupId, owner, ...members) => {
      await town.as(owner, (command) => createGroup(command, groupId, authority, randomUUID()));
      for (const member of members) {
        town.nowMs += 1000;
        await town.as(member, (command) => requestToJoin(command, groupId));
        await town.as(owner, (command) => acceptRequest(command, groupId, member.userId));
      }
    },
  };
  return town;
}

/** The info dictionary of a file whose metainfo travels whole, base64. */
export function wholeInfoOf(
  reader: RegistryReader,
  accountId: string,
  groupId: string,
  fileName: string,
  isHeld?: IsHeld,
): string {
  const answer = metainfoOf(reader, accountId, { groupId, fileName }, isHeld);
  return "info" in answer ? answer.info : assert.fail("it travels in parts");
}

/** A file's metainfo; `content` makes it another one. */
export function metainfoFor(
  fileName: string,
  content = 1,
  authorityPem = authority.certificatePem,
): FileMetainfo {
  return encodeMetainfo({
    fileName,
    lengthBytes: 10,
    pieceLengthBytes: 256 * 1024,
    pieceHashes: new Uint8Array(20).fill(content),
    sha1: content.toString(16).padStart(40, "0"),
    authorityPem,
  });
}

/** A folder's metainfo: some 100 bytes a file, in parts of 64 KiB. `content` makes it another one. */
export async function folderFor(
  fileName: string,
  fileCount: number,
  content = 1,
  authorityPem = authority.certificatePem,
): Promise<FolderMetainfo> {
  const builder = new FileLayoutBuilder();
  const sha1 = new Uint8Array(20).fill(content);
  for (let index = 0; index < fileCount; index++) {
    const path = `set/picture-${String(index).padStart(6, "0")}.jpeg`;
    builder.add({ path, lengthBytes: 10, sha1, isExecutable: index % 2 === 1 });
  }
  const layout = builder.finish(256 * 1024);
  const pieceCount = Math.ceil(layout.lengthBytes / layout.pieceLengthBytes);
  const pieceHashes = new Uint8Array(20 * pieceCount).fill(content);
  return await encodeFolderMetainfo({ fileName, layout, pieceHashes, authorityPem }, async () => {});
}

/** Sends the folder's metainfo in parts, has it read as a tracker does, and shares it. @param replaces for an update */
export async function shareInParts(
  place: Town,
  account: Account,
  groupId: string,
  { info, infoHash }: FolderMetainfo,
  replaces?: string,
): Promise<{ infoHash: string; joinedSwarm: boolean }> {
  const uploadId = randomUUID();
  const parts = cutInfo(info);
  for (const [partIndex, part] of parts.entries()) {
    const request = { groupId, infoHash, uploadId, partIndex, partCount: parts.length };
    await place.as(account, (command) =>
      putInfoPart(command, { ...request, part: Buffer.from(part).toString("base64") }),
    );
  }
  const checked = await checkInfo({
    ...{ registry: place.registry, sha1: undefined, nowMs: place.nowMs, yieldTurn: async () => {} },
    upload: { accountId: account.accountId, infoHash, uploadId },
    groupClaimId: requireGroup(place.registry, groupId).claimId,
  });
  const isUpdate = replaces !== undefined;
  return await place.as(account, (command) =>
    shareFile(command, { ...{ groupId, holderId, replaces, isUpdate }, ...checked }),
  );
}
