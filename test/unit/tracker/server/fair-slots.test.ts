import assert from "node:assert/strict";
import { test } from "node:test";
import { FairSlots } from "../../../../src/tracker/server/fair-slots.ts";

/** All that is due now has happened. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("so much is under way at once; the rest goes on in turn between keys, also after what fails", async () => {
  const slots = new FairSlots(2);
  const begun: string[] = [];
  const ends: PromiseWithResolvers<void>[] = [];
  const run = (key: string) =>
    slots.run(key, () => {
      begun.push(key);
      const end = Promise.withResolvers<void>();
      ends.push(end);
      return end.promise;
    });
  const all = Promise.allSettled(["a", "a", "a", "a", "b"].map(run));
  assert.deepEqual(begun, ["a", "a"]);
  ends[0]?.reject(new Error("failed"));
  await settled();
  ends[1]?.resolve();
  await settled();
  assert.deepEqual(begun, ["a", "a", "a", "b"]);
  for (const at of [2, 3, 4]) {
    ends[at]?.resolve();
    await settled();
  }
  const failed = (await all).filter(({ status }) => status === "rejected");
  assert.equal(failed.length, 1);
  assert.equal(begun.length, 5);
});

test("more than may wait is refused with the time to wait, and the slot of what was refused is not lost", async () => {
  const slots = new FairSlots(1, 1);
  const end = Promise.withResolvers<string>();
  const first = slots.run("a", () => end.promise);
  const second = slots.run("a", async () => "second");
  await assert.rejects(
    slots.run("a", async () => "third"),
    { code: "TRACKER_BUSY", retryAfterMs: 1_000 },
  );
  end.resolve("first");
  assert.deepEqual(await Promise.all([first, second]), ["first", "second"]);
  assert.equal(await slots.run("a", async () => "fourth"), "fourth");
});

test("a key that asks rarely does not wait for all those that ask all the time", async () => {
  const slots = new FairSlots(1);
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const run = (key: string) =>
    void slots.run(key, () => {
      begun.push(key);
      const { promise, resolve } = Promise.withResolvers<void>();
      ends.push(resolve);
      return promise;
    });
  const next = async () => {
    ends.shift()?.();
    await settled();
  };
  for (let work = 0; work < 20; work++) for (let key = 0; key < 50; key++) run(`greedy ${key}`);
  for (let work = 0; work < 75; work++) await next();
  run("modest");
  await next();
  assert.deepEqual(begun.slice(76), ["modest"]);
});

test("nobody fills the queue alone", async () => {
  const slots = new FairSlots(1, 100);
  const end = Promise.withResolvers<void>();
  const outcomes = [slots.run("a", () => end.promise)];
  for (let work = 0; work < 200; work++) outcomes.push(slots.run("mallory", async () => undefined));
  for (const key of ["bob", "carol"]) outcomes.push(slots.run(key, async () => undefined));
  end.resolve();
  const settledAll = await Promise.allSettled(outcomes);
  const refused = settledAll
    .map(({ status }, at) => (status === "rejected" ? at : -1))
    .filter((at) => at >= 0);
  assert.ok(refused.length >= 100 && refused.length < 200, `${refused.length} refused`);
  assert.ok(!refused.includes(201) && !refused.includes(202), "others found room");
});

test("however many keys there are, so many jobs wait, ten thousand if not said otherwise", async () => {
  for (const [slots, most] of [
    [new FairSlots(1, 100), 100],
    [new FairSlots(1), 10_000],
  ] as const) {
    void slots.run("runs", () => new Promise(() => {}));
    const outcomes: boolean[] = [];
    for (let at = 0; at < most + 5; at++) {
      const from = outcomes.push(true) - 1;
      slots
        .run(`key ${at}`, async () => {})
        .catch(({ code }) => {
          assert.equal(code, "TRACKER_BUSY");
          outcomes[from] = false;
        });
    }
    await settled();
    assert.equal(outcomes.filter((waits) => waits).length, most);
  }
});

test("a key that has just had its job does not come before one that waits", async () => {
  const slots = new FairSlots(1);
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const run = (key: string) =>
    void slots.run(key, () => {
      begun.push(key);
      const { promise, resolve } = Promise.withResolvers<void>();
      ends.push(resolve);
      return promise;
    });
  const next = async () => {
    ends.shift()?.();
    await settled();
  };
  run("first");
  for (let at = 0; at < 6; at++) run("patient");
  for (let at = 0; at < 6; at++) {
    run("again"); // as soon as its last one runs
    await next();
    await next();
  }
  const order = begun.slice(1, 11);
  assert.ok(order.filter((key) => key === "patient").length >= 5, order.join());
});

test("a message that has had its turn waits no more", async () => {
  const slots = new FairSlots(1, 2);
  for (let round = 0; round < 5; round++) {
    const all = ["a", "b", "c"].map((key) => slots.run(key, async () => key));
    assert.deepEqual(await Promise.all(all), ["a", "b", "c"]);
  }
});

/** A letter is a job of that key; a dot ends the one that runs. */
for (const [what, history, order] of [
  ["one that comes now is before one that had its job and waits for another", "aab.c.", "aab"],
  ["one that comes back is behind those that it was ahead of", "ca.c.ab.", "cacb"],
  ["one that comes back late counts from where the others are", "adccc....db..", "adcccdb"],
  ["one that stayed away for long is as new", "ccc.cccb...cc.ab.c", "ccbccca"],
  ["what was had counts no more once nobody waits", "bb..aba.", "bbab"],
] as const) {
  test(`of the keys that wait the one that has had the fewest is next: ${what}`, async () => {
    const slots = new FairSlots(1);
    let begun = "";
    const ends: (() => void)[] = [];
    for (const sign of history) {
      if (sign === ".") ends.shift()?.();
      else {
        void slots.run(sign, () => {
          begun += sign;
          return new Promise<void>((resolve) => ends.push(resolve));
        });
      }
      await settled();
    }
    assert.equal(begun, order);
  });
}
