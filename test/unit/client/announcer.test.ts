import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import type { PeerAddress } from "../../../src/api/schemas.ts";
import { Announcer } from "../../../src/client/announcer.ts";
import { FakeLink, FakeTracker, readableLog, refusal, settle, soon } from "./session-fixture.ts";

const hash = (number: number) => number.toString(16).padStart(40, "0");
const where = { listenPort: 7000, listensHere: true, otherHosts: ["192.0.2.7"] };
const bob: PeerAddress = { userId: "bob", deviceId: "b", host: "192.0.2.2", port: 5, isSeed: true };
const listsSchema = z.object({
  seeding: z.string(),
  downloading: z.string(),
  over: z.string().optional(),
});

function stage() {
  const tracker = new FakeTracker();
  const link = new FakeLink(tracker);
  const { log, said } = readableLog();
  const announcer = new Announcer(link, log);
  /** How many torrents each message had: seeding, downloading, over. */
  const sizes = (path: string) =>
    tracker.inputsOf(path).map((input) => {
      const { seeding, downloading, over = "" } = listsSchema.parse(input);
      return [seeding, downloading, over].map((packed) => packed.length / 40);
    });
  return { announcer, tracker, sizes, said };
}

test("changes of one turn go out in one message, and each that lacks pieces is told who has the file", async () => {
  const { announcer, tracker } = stage();
  const peersOf = (infoHash: string) => ({ infoHash, peers: [bob] });
  tracker.answer("presence.update", () => [peersOf(hash(2))]);
  const added = Promise.all([
    announcer.add({ infoHash: hash(1), isSeed: true }),
    announcer.add({ infoHash: hash(2), isSeed: false }),
    announcer.add({ infoHash: hash(3), isSeed: false }),
  ]);
  assert.deepEqual(await soon("they are told", added), [undefined, [bob], undefined]);
  await soon("the end is told", announcer.remove(hash(3)));
  assert.deepEqual(tracker.inputsOf("presence.update"), [
    { seeding: hash(1), downloading: hash(2) + hash(3), over: "" },
    { seeding: "", downloading: "", over: hash(3) },
  ]);
});

test("changes during an announcement go out next, as they stand then", async () => {
  const { announcer, tracker } = stage();
  const answer = Promise.withResolvers<unknown[]>();
  tracker.answer("presence.update", () => answer.promise);
  const first = announcer.add({ infoHash: hash(1), isSeed: false });
  await settle();
  const second = announcer.add({ infoHash: hash(2), isSeed: false });
  const third = announcer.remove(hash(2));
  await settle();
  assert.equal(tracker.asked.length, 1, "one message at a time");
  answer.resolve([]);
  await soon("all are told", Promise.all([first, second, third]));
  assert.deepEqual(tracker.inputsOf("presence.update")[1], { seeding: "", downloading: "", over: hash(2) });
  await soon("it is told", announcer.add({ infoHash: hash(4), isSeed: false }));
  assert.equal(tracker.asked.length, 3, "and so does what comes later");
});

test("a torrent that changes while it is told is told once more", async () => {
  const { announcer, tracker, sizes } = stage();
  const answer = Promise.withResolvers<unknown[]>();
  tracker.answer("presence.update", () => answer.promise);
  const first = announcer.add({ infoHash: hash(1), isSeed: false });
  await settle();
  const second = announcer.add({ infoHash: hash(1), isSeed: true });
  answer.resolve([]);
  await soon("both are told", Promise.all([first, second]));
  assert.deepEqual(sizes("presence.update"), [
    [0, 1, 0],
    [1, 0, 0],
  ]);
});

test("a torrent has ended for who waits for it when the tracker knows", async () => {
  const { announcer, tracker } = stage();
  await announcer.add({ infoHash: hash(1), isSeed: false });
  const answer = Promise.withResolvers<unknown[]>();
  tracker.answer("presence.update", () => answer.promise);
  let isOver = false;
  const removed = announcer.remove(hash(1)).then(() => {
    isOver = true;
  });
  await settle();
  assert.equal(isOver, false);
  answer.resolve([]);
  await soon("it is told", removed);
});

test("the end of what was never announced is not told", async () => {
  const { announcer, tracker } = stage();
  await announcer.remove(hash(1));
  assert.deepEqual(tracker.asked, []);
});

test("more torrents than fit in a message go in several", async () => {
  const { announcer, tracker, sizes } = stage();
  const all = Array.from({ length: 12_000 }, (_, at) => ({ infoHash: hash(at), isSeed: at % 2 === 0 }));
  await soon("all are told", Promise.all(all.map((torrent) => announcer.add(torrent))));
  assert.deepEqual(sizes("presence.update"), [
    [2_500, 2_500, 0],
    [2_500, 2_500, 0],
    [1_000, 1_000, 0],
  ]);
  tracker.take();
  await announcer.announceAgain(where);
  assert.deepEqual(sizes("presence.announce"), [[2_500, 2_500, 0]]);
  assert.deepEqual(sizes("presence.update"), [
    [2_500, 2_500, 0],
    [1_000, 1_000, 0],
  ]);
  assert.deepEqual(tracker.take(), ["presence.announce", "presence.update", "presence.update"]);
});

test("a fresh connection is told where this client listens, and all that it has a part in", async () => {
  const { announcer, tracker } = stage();
  await announcer.add({ infoHash: hash(1), isSeed: false });
  await announcer.add({ infoHash: hash(2), isSeed: false });
  announcer.told(hash(2));
  await announcer.add({ infoHash: hash(3), isSeed: true });
  await announcer.remove(hash(3));
  tracker.take();
  await announcer.announceAll(tracker.api, where);
  assert.deepEqual(tracker.inputsOf("presence.announce"), [
    { ...where, seeding: hash(2), downloading: hash(1) },
  ]);
});

test("changes that wait go out with the whole list, and not again", async () => {
  const { announcer, tracker } = stage();
  const added = announcer.add({ infoHash: hash(1), isSeed: false });
  await announcer.announceAll(tracker.api, where);
  assert.equal(await soon("it is over", added), undefined, "who has it can be asked");
  await settle();
  assert.deepEqual(tracker.take(), ["presence.announce"]);
});

test("a tracker that cannot be told is no failure: the next connection tells it all", async () => {
  const { announcer, tracker, said } = stage();
  tracker.refuse("presence.update", "TRACKERS_UNREACHABLE");
  assert.equal(await announcer.add({ infoHash: hash(1), isSeed: false }), undefined);
  assert.deepEqual(said("info"), ["presence not told; the next connection tells all of it"]);
  await announcer.announceAgain(where);
  assert.deepEqual(tracker.inputsOf("presence.announce"), [{ ...where, seeding: "", downloading: hash(1) }]);
});

test("a tracker that takes note of a part only is used all the same; any other refusal is one", async () => {
  const { announcer, tracker, said } = stage();
  tracker.answer("presence.announce", () => Promise.reject(refusal("LIMIT_REACHED")));
  await announcer.announceAll(tracker.api, where);
  assert.deepEqual(said("warn"), ["the tracker does not take note of all that is shared here"]);
  tracker.refuse("presence.announce", "TRACKER_BUSY");
  await assert.rejects(announcer.announceAll(tracker.api, where), { code: "TRACKER_BUSY" });
});
