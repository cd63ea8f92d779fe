import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { nextPage, wholeList } from "../../../../src/client/trackers/whole-lists.ts";
import { FakeTracker } from "../session-fixture.ts";

const ENDLESS = { code: "MALFORMED_MESSAGE", message: /longer than any real list/ };

/** Reads a list whose pages are as given; counts the questions. */
function read(page: (after: string | undefined) => { items: readonly number[]; next?: string }) {
  const asked: (string | undefined)[] = [];
  const { api } = new FakeTracker();
  const list = wholeList(
    z.number(),
    // Forms are looked at elsewhere; of a million numbers that takes half a second.
    async (_answer, question) => (await question(api)) as { items: readonly number[]; next?: string },
    async (_api, { after }) => {
      asked.push(after);
      return page(after);
    },
  );
  return { list, asked };
}

test("a list is read page by page to its end, over empty pages too", async () => {
  const pages = [[1, 2], [], [3]];
  const { list, asked } = read((after) => {
    const at = Number(after ?? 0);
    return { items: pages[at] ?? [], ...(at < 2 ? { next: String(at + 1) } : {}) };
  });
  assert.deepEqual(await list, [1, 2, 3]);
  assert.deepEqual(asked, [undefined, "1", "2"]);
});

test("a list whose next page is the same one is given up at once", async () => {
  const { list, asked } = read(() => ({ items: [1], next: "a" }));
  await assert.rejects(list, ENDLESS);
  assert.equal(asked.length, 2);
});

test("a list without an end is given up after two thousand pages, or a million entries", async () => {
  const empty = read((after) => ({ items: [], next: String(Number(after ?? 0) + 1) }));
  await assert.rejects(empty.list, ENDLESS);
  assert.equal(empty.asked.length, 2_000);
  const items = new Array<number>(10_000).fill(7);
  const full = read((after) => ({ items, next: String(Number(after ?? 0) + 1) }));
  await assert.rejects(full.list, ENDLESS);
  assert.equal(full.asked.length, 101);
});

test("a million entries are a list still", async () => {
  const items = new Array<number>(10_000).fill(7);
  const { list } = read((after) => {
    const at = Number(after ?? 0);
    return { items, ...(at < 99 ? { next: String(at + 1) } : {}) };
  });
  assert.equal((await list).length, 1_000_000);
});

test("the next page is the first one that is not empty, or the last", async () => {
  const pages = [
    { items: [1], next: "1" },
    { items: [], next: "2" },
    { items: [3], next: "3" },
    { items: [] },
  ];
  const { api } = new FakeTracker();
  const after = (place: string | undefined, answers: typeof pages = pages) =>
    nextPage(
      z.number(),
      async (form, question) => form.parse(await question(api)),
      async (_api, from) => answers[Number(from.after ?? 0)],
      place,
    );
  assert.deepEqual(await after(undefined), { items: [1], next: "1" });
  assert.deepEqual(await after("1"), { items: [3], next: "3" });
  assert.deepEqual(await after("3"), { items: [] });
  await assert.rejects(after("0", [{ items: [], next: "0" }]), ENDLESS);
});

test("each entry of a page must have its form", async () => {
  const { api } = new FakeTracker();
  const list = wholeList(
    z.number(),
    async (answer, question) => answer.parse(await question(api)),
    async () => ({ items: [1, "two"] }),
  );
  await assert.rejects(list, z.ZodError);
  const missing = wholeList(
    z.number(),
    async (answer, question) => answer.parse(await question(api)),
    async () => ({ items: [1, undefined] }),
  );
  await assert.rejects(missing, z.ZodError);
});
