// Places for open files: who gets one, in which order, and which file is closed for it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { OpenFiles } from "../../../src/storage/open-files.ts";
import { withCode } from "./workplace.ts";

/** All that promises lead to has happened: no I/O is waited for. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const lackOfDescriptors = (): Error => Object.assign(new Error("too many open files"), { code: "EMFILE" });

/** Waits for a place; `admitted` has its name once it has one. */
function waitIn(files: OpenFiles, admitted: string[], name: string, needsPlace = true): void {
  files.wait({ needsPlace: () => needsPlace, admit: () => void admitted.push(name) });
}

/** An open file in a place; its closing ends when the test says so. */
function idleFile(files: OpenFiles, closed: string[], name: string) {
  const closing = Promise.withResolvers<void>();
  const file = {
    closeHandle: () => {
      closed.push(name);
      return closing.promise;
    },
  };
  files.wait({ needsPlace: () => true, admit: () => undefined });
  files.mayClose(file);
  return { file, end: closing.resolve, fail: closing.reject };
}

test("there is at least one place", () => {
  for (const places of [0, -1, 1.5, Number.NaN]) assert.throws(() => new OpenFiles(places), RangeError);
});

test("waiting uses are admitted in order, as many as there are places; 128 by default", () => {
  const files = new OpenFiles();
  const admitted: string[] = [];
  for (let i = 0; i < 128; i++) waitIn(files, admitted, `${i}`);
  assert.deepEqual([admitted.length, files.taken, files.isContended], [128, 128, false]);
  waitIn(files, admitted, "first");
  waitIn(files, admitted, "second");
  assert.deepEqual([admitted.length, files.isContended], [128, true]);
  files.givePlace();
  assert.deepEqual([admitted.at(-1), files.taken], ["first", 128]);
  files.givePlace();
  assert.deepEqual([admitted.at(-1), files.isContended], ["second", false]);
  files.givePlace();
  assert.equal(files.taken, 127);
});

test("a use that needs no place takes none, but waits its turn behind those who do", () => {
  const files = new OpenFiles(1);
  const admitted: string[] = [];
  waitIn(files, admitted, "no place", false);
  assert.deepEqual([admitted, files.taken], [["no place"], 0]);
  waitIn(files, admitted, "place");
  waitIn(files, admitted, "another place");
  waitIn(files, admitted, "no place again", false);
  assert.deepEqual(admitted, ["no place", "place"]);
  files.givePlace();
  assert.deepEqual(admitted.slice(2), ["another place", "no place again"]);
  assert.equal(files.taken, 1);
});

test("the file that was used least recently is closed for who waits, who has its place when it is closed", async () => {
  const files = new OpenFiles(2);
  const [closed, admitted]: [string[], string[]] = [[], []];
  const old = idleFile(files, closed, "old");
  idleFile(files, closed, "new");
  waitIn(files, admitted, "waiter");
  assert.deepEqual([closed, admitted, files.taken], [["old"], [], 2]);
  old.end();
  await settle();
  assert.deepEqual([closed, admitted, files.taken], [["old"], ["waiter"], 2]);
});

test("no more files are closed than somebody waits for", async () => {
  const files = new OpenFiles(3);
  const [closed, admitted]: [string[], string[]] = [[], []];
  const idle = ["a", "b", "c"].map((name) => idleFile(files, closed, name));
  waitIn(files, admitted, "first");
  files.mayClose({ closeHandle: () => assert.fail("the least recently used goes first") });
  assert.deepEqual(closed, ["a"]);
  waitIn(files, admitted, "second");
  assert.deepEqual(closed, ["a", "b"]);
  for (const { end } of idle) end();
  await settle();
  assert.deepEqual(
    [closed, admitted],
    [
      ["a", "b"],
      ["first", "second"],
    ],
  );
});

test("a file in use is not closed; it is as soon as nobody uses it, if somebody waits", () => {
  const files = new OpenFiles(1);
  const [closed, admitted]: [string[], string[]] = [[], []];
  const { file } = idleFile(files, closed, "film");
  files.keep(file);
  waitIn(files, admitted, "waiter");
  assert.deepEqual(closed, []);
  files.mayClose(file);
  assert.deepEqual(closed, ["film"]);
});

test("a file whose closing fails has no place any more either", async () => {
  const files = new OpenFiles(1);
  const [closed, admitted]: [string[], string[]] = [[], []];
  const { fail } = idleFile(files, closed, "film");
  waitIn(files, admitted, "waiter");
  fail(new Error("a write failed late"));
  await settle();
  assert.deepEqual([admitted, files.taken], [["waiter"], 1]);
});

test("for want of a descriptor an idle file is closed before the opening is tried again", async () => {
  const pauses: number[] = [];
  const files = new OpenFiles(5, async (pauseMs) => void pauses.push(pauseMs));
  const closed: string[] = [];
  const { end } = idleFile(files, closed, "film");
  let attempts = 0;
  const opening = files.open(async () => {
    if (++attempts === 1) throw lackOfDescriptors();
    return "opened";
  });
  await settle();
  assert.deepEqual([closed, attempts], [["film"], 1], "not before that one is closed");
  end();
  assert.equal(await opening, "opened");
  assert.deepEqual([attempts, files.taken, pauses], [2, 0, []]);
});

test("without an idle file the opening is tried 25 times in 5 s, then it fails", async () => {
  const pauses: number[] = [];
  const files = new OpenFiles(5, async (pauseMs) => void pauses.push(pauseMs));
  let attempts = 0;
  const opening = files.open(async () => {
    attempts++;
    throw new MiniTorrentError("LIMIT_REACHED", "Too many.", { cause: lackOfDescriptors() });
  });
  await assert.rejects(opening, withCode("LIMIT_REACHED"));
  assert.deepEqual([attempts, pauses], [25, Array.from({ length: 24 }, () => 200)]);
});

test("an opening that fails for another reason is not tried again, and costs no place", async () => {
  const files = new OpenFiles(1, () => assert.fail("it paused"));
  let attempts = 0;
  const opening = files.openInPlace(async () => {
    attempts++;
    throw new Error("none of that name");
  });
  await assert.rejects(opening, /none of that name/);
  assert.deepEqual([attempts, files.taken], [1, 0]);
  await files.openInPlace(async () => undefined);
  assert.equal(files.taken, 1);
});

test("long work has a quarter of the places, at least one, and is done in order", async () => {
  for (const [places, atOnce] of [
    [1, 1],
    [7, 1],
    [8, 2],
  ] as const) {
    const files = new OpenFiles(places);
    const running: { name: number; end: PromiseWithResolvers<void> }[] = [];
    const work = [0, 1, 2, 3].map((name) =>
      files.whileLong(() => {
        const end = Promise.withResolvers<void>();
        running.push({ name, end });
        return end.promise;
      }),
    );
    await settle();
    assert.deepEqual([running.length, files.taken], [atOnce, atOnce], `of ${places}`);
    for (let ended = 0; ended < 4; ended++) {
      running[ended]?.end.resolve();
      await settle();
      assert.equal(running.length, Math.min(4, atOnce + ended + 1));
    }
    await Promise.all(work);
    assert.deepEqual(
      running.map(({ name }) => name),
      [0, 1, 2, 3],
    );
    assert.equal(files.taken, 0);
  }
});

test("long work that fails gives its place and its turn on", async () => {
  const files = new OpenFiles(1);
  const failing = files.whileLong(async () => {
    throw new Error("it broke");
  });
  const next = files.whileLong(async () => "done");
  await assert.rejects(failing, /it broke/);
  assert.equal(await next, "done");
  assert.equal(await files.whileLong(async () => "again"), "again");
  assert.equal(files.taken, 0);
});
