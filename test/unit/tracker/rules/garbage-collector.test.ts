// What nobody needs any more is removed: late, a little at a time, only while all trackers are connected, and never what
// somebody counts on.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import { hashOfInviteSecret, inviteIdOf, newInviteSecret } from "../../../../src/api/invite.ts";
import { logIn } from "../../../../src/tracker/rules/accounts.ts";
import { shareFile, stopShare } from "../../../../src/tracker/rules/catalogue.ts";
import { Collector, type CollectorOptions } from "../../../../src/tracker/rules/garbage-collector.ts";
import { leaveGroup, removeMember } from "../../../../src/tracker/rules/groups.ts";
import { putInfoPart, readPartKey } from "../../../../src/tracker/rules/info-uploads.ts";
import { createInvite, revokeInvite, useInvite } from "../../../../src/tracker/rules/invites.ts";
import type { Command } from "../../../../src/tracker/rules/rule-command.ts";
import { accountTotals, inviteUses, registryTotals } from "../../../../src/tracker/rules/totals.ts";
import { folderFor, holderId, metainfoFor, shareInParts, town, wholeInfoOf } from "../fixture.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const HOUR_MS = 60 * 60 * 1000;

async function place(t: TestContext, overrides: Partial<CollectorOptions> = {}) {
  const here = town(t);
  const [alice, bob] = [await here.user("alice"), await here.user("bob")];
  await here.group("films", alice, bob);
  const state = { era: "first" as string | undefined, uptimeMs: 0, writes: 0, announced: new Set<string>() };
  const collector = new Collector({
    registry: here.registry,
    write: (work) => {
      state.writes++;
      return here.write(work);
    },
    connectedEra: () => state.era,
    isAnnounced: (infoHash) => state.announced.has(infoHash),
    connectedDevices: () => [],
    nowMs: () => here.nowMs,
    uptimeMs: () => state.uptimeMs,
    setTimer: () => () => {},
    log: pino({ level: "silent" }),
    ...overrides,
  });
  const round = async () => {
    for (let steps = 0; !(await collector.step()); steps++) assert.ok(steps < 10_000);
  };
  return {
    ...{ here, alice, bob, state, collector, round },
    /** Looks now, and again when what was unused then is due; it is removed in the round after. */
    collect: async () => {
      await round();
      state.uptimeMs += HOUR_MS;
      await round();
      await round();
    },
    torrents: () => here.registry.keys("torrent", "", { limit: 1_000 }).length,
    share: (fileName: string, content: number) => (command: Command) => {
      const { info, sha1 } = metainfoFor(fileName, content);
      return shareFile(command, { groupId: "films", holderId, info, sha1 });
    },
    stop: (fileName: string) => (command: Command) =>
      stopShare(command, { groupId: "films", fileName, holderId }),
  };
}

test("metainfo of a file that nobody shares any more is removed after an hour, and counts for its account no longer", async (t) => {
  const { here, alice, bob, share, stop, collect, round, torrents, state } = await place(t);
  const metainfo = () => here.registry.total(accountTotals.metainfo(alice.accountId));
  const bytes = () => here.registry.total(registryTotals.bytes);
  await here.as(alice, share("kept", 1));
  await here.as(alice, share("stopped", 2));
  await here.as(alice, share("joined", 3));
  await here.as(bob, share("joined", 3));
  await here.as(alice, stop("stopped"));
  await here.as(alice, stop("joined"));
  const before = bytes();
  await round();
  state.uptimeMs += HOUR_MS - 1;
  await round();
  await round();
  assert.equal(torrents(), 3);
  await collect();
  assert.equal(torrents(), 2);
  assert.ok(bytes() < before);
  const kept = ["kept", "joined"].map((name) => wholeInfoOf(here.registry, alice.accountId, "films", name));
  assert.equal(metainfo(), kept.join("").length);
});

test("so is that of content that was replaced, of a member who left or was removed, and of a group that ended", async (t) => {
  const { here, alice, bob, share, stop, collect, torrents } = await place(t);
  await here.as(alice, share("name", 1));
  await here.as(alice, stop("name"));
  await here.as(alice, share("name", 2));
  await here.as(bob, share("bobs", 3));
  assert.equal(torrents(), 3);
  await collect();
  assert.equal(torrents(), 2);
  await here.as(alice, (command) => removeMember(command, "films", "bob"));
  await collect();
  assert.equal(torrents(), 1);
  await here.as(alice, (command) => leaveGroup(command, "films"));
  await collect();
  assert.equal(torrents(), 0);
});

test("the metainfo of an earlier version stays while a client takes part in it, whoever shares it, and goes an hour later", async (t) => {
  const { here, alice, bob, share, collect, torrents, state } = await place(t);
  const { infoHash: replaces } = await here.as(alice, share("name", 1));
  await here.as(bob, share("name", 1));
  const next = metainfoFor("name", 2);
  await here.as(alice, (command) =>
    shareFile(command, {
      groupId: "films",
      holderId,
      info: next.info,
      sha1: next.sha1,
      replaces,
      isUpdate: true,
    }),
  );
  state.announced.add(replaces);
  await collect();
  assert.equal(torrents(), 2);
  state.announced.clear();
  await collect();
  assert.equal(torrents(), 1);
  const info = wholeInfoOf(here.registry, alice.accountId, "films", "name");
  assert.equal(info, Buffer.from(next.info).toString("base64"));
});

test("parts of metainfo go with the last share that needs them; those that no share followed, some hours after they came", async (t) => {
  const { here, alice, bob, stop, collect, state } = await place(t);
  const count = (kind: "infoUpload" | "infoPart") => here.registry.keys(kind, "", { limit: 1_000 }).length;
  const folder = await folderFor("folder", 1_000);
  await shareInParts(here, alice, "films", folder);
  const partCount = count("infoPart");
  assert.ok(partCount > 1);
  // Under the upload id of the share, by another account: none of its parts.
  const [shared] = here.registry.keys("infoPart", "", { limit: 1 });
  const { uploadId } = readPartKey(shared ?? "");
  await here.as(bob, (command) =>
    putInfoPart(command, {
      ...{ groupId: "films", infoHash: folder.infoHash, uploadId, partIndex: 0, partCount: 2 },
      part: Buffer.from("a part").toString("base64"),
    }),
  );
  await collect();
  assert.deepEqual([count("infoUpload"), count("infoPart")], [1, partCount + 1]);
  here.nowMs += 2 * HOUR_MS + 1;
  await collect();
  assert.deepEqual([count("infoUpload"), count("infoPart")], [0, partCount + 1]);
  await collect();
  assert.deepEqual([count("infoUpload"), count("infoPart")], [0, partCount]);
  await here.as(alice, stop("folder"));
  state.announced.add(folder.infoHash);
  await collect();
  await collect();
  assert.equal(count("infoPart"), partCount, "a client still takes part in it");
  state.announced.clear();
  await collect();
  await collect();
  assert.equal(count("infoPart"), 0);
  assert.equal(here.registry.total(accountTotals.metainfo(alice.accountId)), 0);
});

test("a share that comes back meanwhile keeps it; one that comes back later brings it again", async (t) => {
  const { here, alice, share, stop, round, collect, torrents, state } = await place(t);
  await here.as(alice, share("name", 1));
  await here.as(alice, stop("name"));
  await round();
  state.uptimeMs += HOUR_MS - 1;
  await here.as(alice, share("name", 1));
  assert.equal(torrents(), 1, "in a place of its own, and the one before is gone");
  state.uptimeMs += HOUR_MS;
  await round();
  await round();
  assert.ok(wholeInfoOf(here.registry, alice.accountId, "films", "name").length > 0);
  await here.as(alice, stop("name"));
  await collect();
  assert.equal(torrents(), 0);
  await here.as(alice, share("name", 1));
  assert.ok(wholeInfoOf(here.registry, alice.accountId, "films", "name").length > 0);
});

test("while a tracker is away nothing is removed, and the hour begins anew when it is back", async (t) => {
  const { here, alice, share, stop, round, state, torrents, collector } = await place(t);
  await here.as(alice, share("name", 1));
  await here.as(alice, stop("name"));
  await round();
  state.uptimeMs += HOUR_MS;
  state.era = undefined;
  for (let steps = 0; steps < 50; steps++) await collector.step();
  state.era = "second";
  await round();
  await round();
  state.uptimeMs += HOUR_MS - 1;
  await round();
  await round();
  assert.equal(torrents(), 1);
  state.uptimeMs += 1;
  await round();
  await round();
  assert.equal(torrents(), 0);
});

test("metainfo of which some client still has a part stays", async (t) => {
  const { here, alice, share, stop, collect, state, torrents } = await place(t);
  const { infoHash } = await here.as(alice, share("name", 1));
  await here.as(alice, stop("name"));
  state.announced.add(infoHash);
  await collect();
  assert.equal(torrents(), 1);
  state.announced.clear();
  await collect();
  assert.equal(torrents(), 0);
});

test("sessions end when their device was away for 30 days, or their account is gone; connected ones are noted once a day", async (t) => {
  const connected: string[] = [];
  const { here, alice, bob, collect, state, round } = await place(t, { connectedDevices: () => connected });
  const { registry } = here;
  await here.write((writer) => logIn(writer, "here", alice, here.nowMs));
  await here.write((writer) => logIn(writer, "away", alice, here.nowMs));
  await here.write((writer) => logIn(writer, "bobs", bob, here.nowMs));
  connected.push("here");
  for (let day = 0; day < 30; day++) {
    here.nowMs += DAY_MS + 1;
    await round();
  }
  assert.equal(state.writes, 30, "one a day");
  here.nowMs += DAY_MS - 1;
  await round();
  assert.equal(state.writes, 30);
  await here.write((writer) => writer.endClaim("user", bob.accountId));
  await collect();
  assert.notEqual(registry.get("device", "here"), undefined);
  assert.equal(registry.get("device", "away"), undefined);
  assert.equal(registry.get("device", "bobs"), undefined);
});

test("a step looks at a few of very many rows, and removes fewer", async (t) => {
  const { here, alice, share, stop, state, collector, round } = await place(t);
  for (let file = 0; file < 100; file++) {
    await here.as(alice, share(`file ${file}`, file + 1));
    await here.as(alice, stop(`file ${file}`));
  }
  let looks = 0;
  const keys = here.registry.keys.bind(here.registry);
  here.registry.keys = (...asked) => {
    const found = keys(...asked);
    looks = Math.max(looks, found.length);
    return found;
  };
  await round();
  state.uptimeMs += HOUR_MS;
  const left = () => here.registry.total(accountTotals.metainfo(alice.accountId));
  let most = 0;
  const ofOne = left() / 100;
  for (let steps = 0; steps < 100; steps++) {
    const before = left();
    await collector.step();
    most = Math.max(most, Math.round((before - left()) / ofOne));
  }
  assert.ok(looks <= 40 && most > 0 && most <= 5, `${looks} looks, ${most} removals`);
  assert.equal(left(), 0);
});

test("a disk that is full stops nothing: it tries again in the next round", async (t) => {
  let isFull = true;
  const warnings: unknown[] = [];
  const here = await place(t, {
    write: async (work) => {
      if (isFull) throw new Error("no room");
      return await here.here.write(work);
    },
    log: pino({ level: "warn" }, { write: (line) => void warnings.push(line) }),
  });
  await here.here.as(here.alice, here.share("name", 1));
  await here.here.as(here.alice, here.stop("name"));
  await here.collect();
  await here.round();
  assert.equal(here.torrents(), 1);
  assert.equal(warnings.length, 1);
  isFull = false;
  await here.round();
  await here.round();
  assert.equal(here.torrents(), 0);
});

test("a session is kept while its device was away for less than 30 days, and ends within hours if its account is gone", async (t) => {
  const { here, alice, bob, collect } = await place(t);
  await here.write((writer) => logIn(writer, "away", alice, here.nowMs));
  here.nowMs += 30 * DAY_MS;
  await collect();
  assert.notEqual(here.registry.get("device", "away"), undefined);
  here.nowMs += 1;
  await collect();
  assert.equal(here.registry.get("device", "away"), undefined);
  await here.write((writer) => logIn(writer, "bobs", bob, here.nowMs));
  await here.write((writer) => writer.endClaim("user", bob.accountId));
  await collect();
  assert.equal(here.registry.get("device", "bobs"), undefined);
});

test("while a tracker is away all the time nothing is removed, however long that is", async (t) => {
  const { here, alice, share, stop, state, torrents, collector } = await place(t);
  await here.as(alice, share("name", 1));
  await here.as(alice, stop("name"));
  state.era = undefined;
  for (let steps = 0; steps < 20; steps++) {
    state.uptimeMs += HOUR_MS;
    await collector.step();
  }
  assert.deepEqual([torrents(), state.writes], [1, 0]);
});

test("rows due when a tracker went are not removed, and nothing is written for them", async (t) => {
  const { here, alice, share, stop, round, state, torrents, collector } = await place(t);
  await here.as(alice, share("name", 1));
  await here.as(alice, stop("name"));
  await round();
  state.uptimeMs += HOUR_MS;
  await collector.step(); // due from here on
  state.era = "second";
  await collector.step();
  assert.deepEqual([torrents(), state.writes], [1, 0]);
});

test("metainfo used for a moment in between has its hour from then on", async (t) => {
  const { here, alice, share, stop, round, state, torrents } = await place(t);
  const { infoHash } = await here.as(alice, share("name", 1));
  await here.as(alice, stop("name"));
  await round();
  state.announced.add(infoHash);
  await round();
  state.announced.clear();
  state.uptimeMs += HOUR_MS - 1;
  await round();
  state.uptimeMs += 1;
  await round();
  await round();
  assert.equal(torrents(), 1);
});

test("whether a row is unused is asked again in the transaction that removes it", async (t) => {
  const here = await place(t, {
    write: async (work) => {
      here.state.writes++;
      await here.here.as(here.alice, here.share("other", 2)); // meanwhile
      return await here.here.write(work);
    },
    isAnnounced: () => here.state.writes > 0,
  });
  await here.here.as(here.alice, here.share("name", 1));
  await here.here.as(here.alice, here.stop("name"));
  await here.collect();
  assert.equal(here.state.writes, 1);
  assert.equal(here.torrents(), 2);
});

test("each outage of the disk is said once", async (t) => {
  const state = { isFull: true };
  const warnings: unknown[] = [];
  const here = await place(t, {
    write: async (work) => {
      if (state.isFull) throw new Error("no room");
      return await here.here.write(work);
    },
    log: pino({ level: "warn" }, { write: (line) => void warnings.push(line) }),
  });
  for (const [at, name] of ["one", "two"].entries()) {
    await here.here.as(here.alice, here.share(name, at + 1));
    await here.here.as(here.alice, here.stop(name));
    state.isFull = true;
    await here.collect();
    await here.round();
    assert.equal(warnings.length, at + 1);
    state.isFull = false;
    await here.round();
    await here.round();
  }
  assert.equal(here.torrents(), 0);
});

test("it takes a step every half second and rests for a minute after each round, until it is closed", async (t) => {
  let due: { delayMs: number; run: () => unknown } | undefined;
  const here = await place(t, {
    setTimer: (delayMs, run) => {
      due = { delayMs, run };
      return () => {
        due = undefined;
      };
    },
  });
  const next = async () => {
    const { delayMs, run } = due ?? assert.fail("it does not go on");
    due = undefined;
    await run();
    return delayMs;
  };
  here.collector.start();
  const delays: number[] = [];
  for (let steps = 0; steps < 20; steps++) delays.push(await next());
  // The torrents, uploads, parts, devices, invites and what belongs to them, and then who is connected.
  const round = [500, 500, 500, 500, 500, 500, 500, 500];
  assert.deepEqual(delays, [500, ...round, 60_000, ...round, 60_000, 500]);
  const { run } = due ?? assert.fail();
  here.collector.close();
  assert.equal(due, undefined);
  await run(); // a step that was under way
  assert.equal(due, undefined, "it goes on after its end");
});

test("a bounded number of unused rows is remembered at a time", async (t) => {
  const keys = Array.from({ length: 20_100 }, (_, at) => String(at).padStart(6, "0"));
  const removed = new Set<string>();
  const registry = {
    keys: (kind: string, _prefix: string, { after = "", limit = 0 }) => {
      if (kind !== "torrent") return [];
      const from = after === "" ? 0 : Number(after) + 1;
      return keys.slice(from, from + limit);
    },
    claimById: () => undefined,
  };
  const { collector, round, state } = await place(t, {
    registry: registry as never,
    write: async (work) =>
      work({ ...registry, remove: (_kind: string, key: string) => removed.add(key) } as never),
  });
  await round();
  state.uptimeMs += HOUR_MS;
  await round();
  for (let steps = 0; steps < 5_000; steps++) await collector.step();
  assert.equal(removed.size, 20_000);
});

test("a device that logs out while it is noted as seen stays logged out", async (t) => {
  const here = await place(t, {
    connectedDevices: () => ["device"],
    write: async (work) => {
      await here.here.write((writer) => writer.remove("device", "device")); // meanwhile
      here.state.writes++;
      return await here.here.write(work);
    },
  });
  await here.here.write((writer) => logIn(writer, "device", here.alice, here.here.nowMs));
  here.here.nowMs += DAY_MS + 1;
  await here.round();
  assert.deepEqual([here.state.writes, here.here.registry.get("device", "device")], [1, undefined]);
});

test("a step notes forty of thousands of connected devices", async (t) => {
  const devices = Array.from({ length: 100 }, (_, at) => `device ${at}`);
  const sizes: number[] = [];
  const here = await place(t, {
    connectedDevices: () => devices,
    write: async (work) => {
      const { records } = await here.here.registry.transact(crypto.randomUUID(), work);
      sizes.push(records.length);
    },
  });
  await here.here.write((writer) => {
    for (const device of devices) logIn(writer, device, here.alice, here.here.nowMs);
  });
  here.here.nowMs += DAY_MS + 1;
  await here.round();
  assert.deepEqual(sizes, [40, 40, 20]);
});

test("an invite that has ended is removed after an hour, and then its revocation and its uses; one that holds is kept", async (t) => {
  const { here, alice, bob, state, collect, round } = await place(t);
  const carol = await here.user("carol");
  const make = (groupId: string, uses?: number) => {
    const secretHash = hashOfInviteSecret(newInviteSecret());
    return here
      .as(alice, (command) => createInvite(command, { groupId, secretHash, uses }))
      .then(({ groupClaimId }) => ({ secretHash, groupClaimId, inviteId: inviteIdOf(secretHash) }));
  };
  await here.group("books", alice);
  const [held, exhausted, revoked, inBooks] = [
    await make("films"),
    await make("films", 1),
    await make("films"),
    await make("books"),
  ];
  for (const { secretHash, groupClaimId } of [exhausted, held])
    await here.as(secretHash === held.secretHash ? await here.user("dave") : carol, (command) =>
      useInvite(command, groupClaimId, secretHash),
    );
  await here.as(alice, (command) => revokeInvite(command, "films", revoked.inviteId));
  const left = () =>
    (["invite", "inviteRevocation", "inviteUse"] as const).map((kind) =>
      here.registry.keys(kind, "", { limit: 100 }).map((key) => key.split("\u001f")[1]),
    );
  const sorted = (...ids: string[]) => ids.toSorted();
  await round();
  state.uptimeMs += HOUR_MS - 1;
  await round();
  assert.equal(left()[0]?.length, 4, "an hour has not passed");
  await collect();
  const [invites, revocations, uses] = left();
  assert.deepEqual(invites?.toSorted(), sorted(held.inviteId, inBooks.inviteId));
  assert.deepEqual(
    [revocations, uses?.length],
    [[revoked.inviteId], 2],
    "they end the invite until it is gone",
  );
  await collect();
  assert.deepEqual(left().slice(1), [[], [held.inviteId]]);
  await here.as(alice, (command) => leaveGroup(command, "books"));
  here.nowMs += 7 * DAY_MS;
  await collect();
  await collect();
  assert.deepEqual(left(), [[], [], []]);
  assert.equal(here.registry.total(accountTotals.invites(alice.accountId)), 0);
  assert.equal(here.registry.total(inviteUses(held.groupClaimId, held.inviteId)), 0);
  assert.ok(bob);
});
