// The operator's commands for accounts and groups: list them, and remove one permanently. A removal consists of ordinary rows,
// so it replicates to every tracker, which ends sessions and tells clients (registry-reactions.ts, event-publisher.ts).
import { setImmediate as nextTurn } from "node:timers/promises";
import { MiniTorrentError } from "../api/errors.ts";
import { operatorWriteId } from "./registry/record-values.ts";
import type { RegistryReader, RegistryWriter } from "./registry/registry.ts";
import { expelAccount } from "./rules/groups.ts";
import { standingLists } from "./rules/membership-index.ts";
import { countMembers, groupByClaim, nextOf, userIdOf } from "./rules/membership-rows.ts";
import { accountTotals } from "./rules/totals.ts";

/** Groups that an account is removed from in one transaction: some 10 ms. */
const EXPELLED_TOGETHER = 10;

export interface AccountUsage {
  readonly userId: string;
  readonly accountId: string;
  readonly createdAtMs: number;
  /** Groups that it owns. */
  readonly groups: number;
  /** Files that it was the first to share and that are still offered. */
  readonly files: number;
  /** Rows that it wrote, tombstones included, and their approximate size on disk. */
  readonly rows: number;
  readonly bytes: number;
}

export interface GroupUsage {
  readonly groupId: string;
  readonly claimId: string;
  /** Undefined if it has no members. */
  readonly ownerId: string | undefined;
  readonly members: number;
}

/** A page of a list, and the name after which the next one begins; undefined at the end. */
export interface Listed<T> {
  readonly items: readonly T[];
  readonly next: string | undefined;
}

export interface OperatorOptions {
  readonly registry: RegistryReader;
  /** @returns the addresses of trackers that have not confirmed it */
  readonly write: (writeId: string, work: (writer: RegistryWriter) => void) => Promise<readonly string[]>;
  readonly nowMs: () => number;
}

export class Operator {
  readonly #registry: RegistryReader;
  readonly #write: OperatorOptions["write"];
  readonly #nowMs: () => number;

  constructor({ registry, write, nowMs }: OperatorOptions) {
    this.#registry = registry;
    this.#write = write;
    this.#nowMs = nowMs;
  }

  /** Accounts whose user ids begin with `prefix`, by name. @param after a user id: only what comes after it */
  accounts(prefix: string, after: string | undefined, limit: number): Listed<AccountUsage> {
    const { names, next } = this.#names("user", prefix, after, limit);
    const items = names.map((userId) => this.#accountOf(userId)).filter((account) => account !== undefined);
    return { items, next };
  }

  /** Groups whose ids begin with `prefix`, by name. @param after a group id: only what comes after it */
  async groups(prefix: string, after: string | undefined, limit: number): Promise<Listed<GroupUsage>> {
    const { names, next } = this.#names("group", prefix, after, limit);
    const items: GroupUsage[] = [];
    for (const groupId of names) {
      const group = this.#groupOf(groupId);
      if (group !== undefined) items.push(group);
      await nextTurn();
    }
    return { items, next };
  }

  /** @throws MiniTorrentError UNKNOWN_USER */
  account(userId: string): AccountUsage {
    const account = this.#accountOf(userId);
    if (account !== undefined) return account;
    throw new MiniTorrentError("UNKNOWN_USER", `There is no user '${userId}'; type accounts to list them.`);
  }

  /** @throws MiniTorrentError UNKNOWN_GROUP */
  group(groupId: string): GroupUsage {
    const group = this.#groupOf(groupId);
    if (group !== undefined) return group;
    throw new MiniTorrentError("UNKNOWN_GROUP", `There is no group '${groupId}'; type groups to list them.`);
  }

  /**
   * Ends the account: its memberships, so that peers refuse its certificates; its ownerships, which pass to
   * the longest-standing members; its password and sessions. The user id is free afterwards. After a failure it can be
   * called again.
   *
   * @returns addresses of trackers that have not confirmed it
   * @throws MiniTorrentError UNKNOWN_USER; what a write may say
   */
  async removeAccount(userId: string): Promise<readonly string[]> {
    const { accountId } = this.account(userId);
    const unconfirmed = new Set<string>();
    const write = async (work: (writer: RegistryWriter, writeId: string) => void): Promise<void> => {
      const writeId = operatorWriteId();
      for (const address of await this.#write(writeId, (writer) => work(writer, writeId))) {
        unconfirmed.add(address);
      }
    };
    const expelFromItsGroups = async (): Promise<void> => {
      for await (const groupClaimIds of this.#groupsOf(accountId)) {
        const account = { userId, accountId };
        await write((writer, writeId) => {
          const command = { writer, writeId, account, nowMs: this.#nowMs() };
          for (const groupClaimId of groupClaimIds) expelAccount(command, groupClaimId);
        });
      }
    };
    await expelFromItsGroups();
    await write((writer) => {
      writer.remove("credential", accountId);
      writer.endClaim("user", accountId);
    });
    // It may have founded or joined a group during the loop; from now on it cannot.
    await expelFromItsGroups();
    return [...unconfirmed];
  }

  /**
   * Ends the group with all memberships. Its members' clients are told, and drop each other. The group id is free afterwards.
   *
   * @returns addresses of trackers that have not confirmed it
   * @throws MiniTorrentError UNKNOWN_GROUP; what a write may say
   */
  async removeGroup(groupId: string): Promise<readonly string[]> {
    const { claimId } = this.group(groupId);
    return await this.#write(operatorWriteId(), (writer) => writer.endClaim("group", claimId));
  }

  #names(kind: "user" | "group", prefix: string, after: string | undefined, limit: number) {
    const keys = this.#registry.keys(kind, prefix, { after, limit: limit + 1 });
    const names = keys.slice(0, limit);
    return { names, next: keys.length > limit ? names.at(-1) : undefined };
  }

  #accountOf(userId: string): AccountUsage | undefined {
    const claim = this.#registry.claim("user", userId);
    if (claim === undefined) return undefined;
    const { claimId: accountId, value } = claim;
    const total = (of: (accountId: string) => string): number => this.#registry.total(of(accountId));
    return {
      ...{ userId, accountId, createdAtMs: value.createdAtMs },
      groups: total(accountTotals.groups),
      files: total(accountTotals.files),
      rows: total(accountTotals.rows),
      bytes: total(accountTotals.bytes),
    };
  }

  #groupOf(groupId: string): GroupUsage | undefined {
    const claim = this.#registry.claim("group", groupId);
    if (claim === undefined) return undefined;
    const { claimId } = claim;
    const owner = groupByClaim(this.#registry, claimId)?.ownerAccountId;
    return {
      ...{ groupId, claimId },
      ownerId: owner === undefined ? undefined : userIdOf(this.#registry, owner),
      members: countMembers(this.#registry, claimId),
    };
  }

  /**
   * Claims of the groups that have rows of the account, some at a time: also those that ended, or that rejected it. All that
   * is derived of these rows changes with the end of the account, which would take minutes for all of them at once.
   */
  async *#groupsOf(accountId: string): AsyncGenerator<readonly string[]> {
    let after: string | undefined;
    do {
      const page = { after, limit: EXPELLED_TOGETHER };
      const pairs = this.#registry.listed(standingLists.pairsOf(accountId), page);
      if (pairs.length > 0) yield pairs.map(({ sort: groupClaimId }) => groupClaimId);
      after = nextOf(pairs, EXPELLED_TOGETHER).next;
      await nextTurn();
    } while (after !== undefined);
  }
}
