// A registry in memory with people in it, for the tests of rules: what a command would do, without trackers.

import { randomUUID } from "node:crypto";
import type { TestContext } from "node:test";
import type { Account } from "../../../src/api/schemas.ts";
import { encodeMetainfo, type FileMetainfo } from "../../../src/metainfo/metainfo.ts";
import type { RegistryWriter } from "../../../src/tracker/registry/registry.ts";
import { SqliteRegistry } from "../../../src/tracker/registry/sqlite-registry.ts";
import { createUser } from "../../../src/tracker/rules/accounts.ts";
import { acceptRequest, createGroup, requestToJoin } from "../../../src/tracker/rules/groups.ts";
import { alikeOf } from "../../../src/tracker/rules/look-alikes.ts";
import type { Command } from "../../../src/tracker/rules/rule-command.ts";
import { shareAnchors } from "../../../src/tracker/rules/share-anchors.ts";
import { standingsDerivation } from "../../../src/tracker/rules/standings.ts";
import { totalsOf } from "../../../src/tracker/rules/totals.ts";

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
