import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { guardOf } from "../../../src/net/connection-guard.ts";
import { SendQueue } from "../../../src/transport/send-queue.ts";

/** A queue whose writes are done when the test says so. */
function queueWithWrites() {
  const writes: { bytes: Uint8Array; written: () => void }[] = [];
  let rooms = 0;
  let floods = 0;
  const queue = new SendQueue({
    guard: (_where, handler) => handler,
    write: (bytes, written) => writes.push({ bytes, written }),
    onRoom: () => rooms++,
    onFlooded: () => floods++,
  });
  return { queue, writes, rooms: () => rooms, floods: () => floods };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("send queue", () => {
  it("writes all messages of a turn at once", async () => {
    const { queue, writes } = queueWithWrites();
    for (let pieceIndex = 0; pieceIndex < 100; pieceIndex++) queue.messages.request(pieceIndex, 0, 1);
    assert.equal(writes.length, 0);
    await turn();
    assert.deepEqual(
      writes.map(({ bytes }) => bytes.length),
      [1700],
    );
    // What is said meanwhile goes out as one write when that one is done.
    queue.messages.interested();
    queue.messages.notInterested();
    await turn();
    assert.equal(writes.length, 1);
    writes[0]?.written();
    assert.equal(writes[1]?.bytes.toHex(), "00000001020000000103");
  });

  it("sends messages before the blocks that wait, but for those that must stay after them", async () => {
    const { queue, writes } = queueWithWrites();
    const blocks = [1, 2, 3].map((value) => new Uint8Array(10).fill(value));
    const [first = new Uint8Array(0), second = new Uint8Array(0), third = new Uint8Array(0)] = blocks;
    queue.sendBlocks(first, () => {});
    queue.messagesInOrder.choke();
    queue.sendBlocks(second, () => {});
    queue.messagesInOrder.unchoke();
    queue.messages.interested();
    queue.sendBlocks(third, () => {});
    queue.messages.notInterested();
    queue.messagesInOrder.choke();
    await turn();
    for (let count = 0; !queue.isIdle; count++) writes[count]?.written();
    const written = writes.map(({ bytes }) => bytes.toHex());
    const [choke, unchoke, interest] = ["0000000100", "0000000101", "00000001020000000103"];
    const [one, two, three] = blocks.map((block) => block.toHex());
    assert.deepEqual(written, [one, interest, choke, two, unchoke, three, choke]);
  });

  it("hands frames over as they are, without a copy, and never two writes at a time", () => {
    const { queue, writes } = queueWithWrites();
    const frames = new Uint8Array(600_000);
    let sent = 0;
    queue.sendBlocks(frames, () => sent++);
    queue.sendBlocks(frames, () => sent++);
    for (let count = 1; count <= 2; count++) {
      assert.equal(writes.length, count);
      assert.equal(writes.at(-1)?.bytes, frames);
      assert.equal(sent, count - 1);
      writes.at(-1)?.written();
    }
    assert.equal(sent, 2);
    assert.equal(queue.isIdle, true);
  });

  it("says false past the high-water mark, and that there is room once as soon as it is below", () => {
    const { queue, writes, rooms } = queueWithWrites();
    const frames = new Uint8Array(200_000);
    const answers = Array.from({ length: 7 }, () => queue.sendBlocks(frames, () => {}));
    assert.deepEqual(answers, [true, true, true, true, true, false, false]);
    writes.at(-1)?.written();
    assert.equal(rooms(), 0);
    writes.at(-1)?.written();
    assert.equal(rooms(), 1);
    for (let count = 0; count < 5; count++) writes.at(-1)?.written();
    assert.equal(rooms(), 1);
    assert.equal(queue.isIdle, true);
  });

  it("says so when more than 1 MiB of messages wait, also when blocks wait between them", async () => {
    const { queue, floods } = queueWithWrites();
    const rejects = (count: number): void => {
      for (let index = 0; index < count; index++) queue.messagesInOrder.reject(0, 0, 1);
    };
    rejects(40_000);
    await turn();
    queue.sendBlocks(new Uint8Array(10), () => {});
    rejects(21_000);
    assert.equal(floods(), 0);
    queue.sendBlocks(new Uint8Array(10), () => {});
    rejects(1000);
    assert.ok(floods() > 0);
  });

  it("lets any number of messages pass that are written", async () => {
    const { queue, writes, floods } = queueWithWrites();
    for (let round = 0; round < 10; round++) {
      for (let index = 0; index < 10_000; index++) queue.messagesInOrder.reject(0, 0, 1);
      await turn();
      while (!queue.isIdle) writes.pop()?.written();
    }
    assert.equal(floods(), 0);
  });

  it("calls each sent once when it is closed, and writes nothing more", async () => {
    const { queue, writes, rooms } = queueWithWrites();
    const calls: string[] = [];
    queue.messages.choke();
    queue.sendBlocks(new Uint8Array(2_000_000), () => calls.push("first"));
    queue.sendBlocks(new Uint8Array(10), () => calls.push("second"));
    queue.close();
    queue.close();
    assert.deepEqual(calls, ["first", "second"]);
    for (const { written } of writes) written();
    queue.messages.choke();
    assert.equal(
      queue.sendBlocks(new Uint8Array(10), () => calls.push("late")),
      false,
    );
    await turn();
    assert.deepEqual(calls, ["first", "second", "late"]);
    assert.equal(writes.length, 1);
    assert.equal(rooms(), 0);
  });

  it("is idle only when nothing is written and nothing waits, and has blocks until the last is written", async () => {
    const { queue, writes } = queueWithWrites();
    assert.deepEqual([queue.isIdle, queue.hasBlocks], [true, false]);
    queue.messages.interested();
    assert.deepEqual([queue.isIdle, queue.hasBlocks], [false, false], "a message waits");
    await turn();
    assert.equal(queue.isIdle, false, "it is being written");
    writes[0]?.written();
    assert.equal(queue.isIdle, true);
    queue.sendBlocks(new Uint8Array(10), () => {});
    assert.deepEqual([queue.isIdle, queue.hasBlocks], [false, true]);
    writes[1]?.written();
    assert.deepEqual([queue.isIdle, queue.hasBlocks], [true, false]);
  });

  it("is full past 1 MiB of blocks, and not at it", () => {
    const { queue } = queueWithWrites();
    assert.equal(
      queue.sendBlocks(new Uint8Array(1024 * 1024), () => {}),
      true,
    );
    assert.equal(
      queue.sendBlocks(new Uint8Array(1), () => {}),
      false,
    );
  });

  it("calls the sent of a block that is being written once, whether it is closed or written first", () => {
    for (const isClosedFirst of [true, false]) {
      const { queue, writes } = queueWithWrites();
      let sent = 0;
      queue.sendBlocks(new Uint8Array(10), () => sent++);
      const ends = [() => queue.close(), () => writes[0]?.written()];
      for (const end of isClosedFirst ? ends : ends.toReversed()) end();
      assert.equal(sent, 1);
    }
  });

  it("leaves the block that is being written alone when it is stopped, until it is written", () => {
    const { queue, writes } = queueWithWrites();
    const calls: string[] = [];
    queue.sendBlocks(new Uint8Array(10), () => calls.push("under way"));
    queue.sendBlocks(new Uint8Array(10), () => calls.push("waiting"));
    queue.stop();
    assert.deepEqual(calls, ["waiting"]);
    writes[0]?.written();
    assert.deepEqual(calls, ["waiting", "under way"]);
    assert.equal(writes.length, 1);
  });

  it("calls every other sent although one fails", async () => {
    const faults: string[] = [];
    const queue = new SendQueue({
      guard: guardOf((_error, where) => faults.push(where)),
      write: () => undefined,
      ...{ onRoom: () => undefined, onFlooded: () => undefined },
    });
    const calls: string[] = [];
    const failing = (): never => {
      throw new Error("a fault");
    };
    for (const sent of [() => calls.push("first"), failing, () => calls.push("third")])
      queue.sendBlocks(new Uint8Array(10), sent);
    queue.close();
    assert.deepEqual([calls.toSorted(), faults], [["first", "third"], ["sent"]]);
    queue.sendBlocks(new Uint8Array(10), failing);
    await turn();
    assert.deepEqual(faults, ["sent", "sent"]);
  });

  it("counts no written block against the messages that may wait", async () => {
    const { queue, writes, floods } = queueWithWrites();
    queue.sendBlocks(new Uint8Array(2_000_000), () => {});
    writes[0]?.written();
    for (let index = 0; index < 62_000; index++) queue.messagesInOrder.reject(0, 0, 1);
    assert.ok(floods() > 0);
  });

  it("has room again at 1 MiB of blocks", () => {
    const { queue, writes, rooms } = queueWithWrites();
    queue.sendBlocks(new Uint8Array(1), () => {});
    queue.sendBlocks(new Uint8Array(1024 * 1024), () => {});
    writes[0]?.written();
    assert.equal(rooms(), 1);
  });
});
