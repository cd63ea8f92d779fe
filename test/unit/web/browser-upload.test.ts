import assert from "node:assert/strict";
import { test } from "node:test";
import { BrowserUpload, type UploadLink } from "../../../web/src/state/browser-upload.ts";

const MIB = 1024 * 1024;

class Bytes {
  readonly size: number;
  constructor(size: number) {
    this.size = size;
  }
  slice(start: number, end: number): Bytes {
    return new Bytes(end - start);
  }
}

class Broken extends Error {}
class Forgotten extends Error {}

/** A daemon that takes parts, and fails as it is told. */
function daemon(fails: (sending: number) => Error | undefined = () => undefined) {
  const received = new Map<string, number>();
  const calls: string[] = [];
  let sendings = 0;
  const link: UploadLink<Bytes, string> = {
    begin: async (plan, lengthBytes) => {
      calls.push(`begin ${plan.name} ${lengthBytes}`);
      received.clear();
      return { uploadId: `u${calls.filter((call) => call.startsWith("begin")).length}` };
    },
    send: async (uploadId, path, offset, part, signal) => {
      signal.throwIfAborted();
      const failure = fails(sendings++);
      if (failure !== undefined) throw failure;
      assert.equal(offset, received.get(path) ?? 0, `${uploadId} ${path} has no gap`);
      received.set(path, offset + part.size);
      return offset + part.size;
    },
    received: async (_uploadId, path) => received.get(path) ?? 0,
    finish: async (uploadId) => {
      calls.push(`finish ${uploadId}`);
      return "shared";
    },
    cancel: async (uploadId) => {
      calls.push(`cancel ${uploadId}`);
    },
    isPassing: (error) => error instanceof Broken,
    isForgotten: (error) => error instanceof Forgotten,
    pause: async (ms) => {
      calls.push(`pause ${ms}`);
    },
  };
  return { link, received, calls };
}

const file = (name: string, size: number) => ({
  ...{ groupId: "studio", name, kind: "file" as const },
  files: [{ path: "", content: new Bytes(size) }],
});

test("a file is sent in parts, and shared when a person says so", async () => {
  const { link, received, calls } = daemon();
  const states: string[] = [];
  const upload = new BrowserUpload(file("film.mov", 10 * MIB), link, () => states.push(upload.state));
  await upload.run();
  assert.deepEqual([upload.state, upload.sentBytes, received.get("")], ["sent", 10 * MIB, 10 * MIB]);
  await upload.share();
  assert.deepEqual([upload.state, upload.result], ["shared", "shared"]);
  assert.deepEqual(calls, [`begin film.mov ${10 * MIB}`, "finish u1"]);
  assert.deepEqual([...new Set(states)], ["sending", "sent", "sharing", "shared"]);
});

test("a file that is to be shared already is shared once all of it is there", async () => {
  const { link } = daemon();
  const upload = new BrowserUpload(file("film.mov", 1), link, () => {});
  const running = upload.run();
  await upload.share();
  assert.notEqual(upload.state, "shared");
  await running;
  assert.equal(upload.state, "shared");
});

test("all files of a folder are sent, empty ones too", async () => {
  const { link, received } = daemon();
  const files = Array.from({ length: 20 }, (_, index) => ({ path: `d/${index}`, content: new Bytes(index) }));
  const upload = new BrowserUpload({ groupId: "studio", name: "d", kind: "folder", files }, link, () => {});
  await upload.run();
  assert.equal(upload.state, "sent");
  assert.deepEqual(
    [...received.values()].sort((one, other) => one - other),
    [...Array(20).keys()],
  );
});

test("a connection that breaks is tried again from where it was", async () => {
  const { link, calls } = daemon((sending) => (sending === 1 || sending === 2 ? new Broken() : undefined));
  const upload = new BrowserUpload(file("film.mov", 10 * MIB), link, () => {});
  await upload.run();
  assert.equal(upload.state, "sent");
  assert.deepEqual(calls.slice(1), ["pause 500", "pause 1000"]);
});

test("an upload that failed goes on from where it was", async () => {
  let isDown = true;
  const { link, received, calls } = daemon((sending) =>
    sending >= 1 && isDown ? new Broken("down") : undefined,
  );
  const upload = new BrowserUpload(file("film.mov", 10 * MIB), link, () => {});
  await upload.run();
  assert.equal(upload.state, "failed");
  assert.match(String(upload.problem), /down/);
  isDown = false;
  await upload.run();
  assert.deepEqual([upload.state, received.get("")], ["sent", 10 * MIB]);
  assert.equal(calls.filter((call) => call.startsWith("begin")).length, 1);
});

test("what is refused is not tried again by itself", async () => {
  const { link, calls } = daemon(() => new Error("The disk is full."));
  const upload = new BrowserUpload(file("film.mov", 10), link, () => {});
  await upload.run();
  assert.equal(upload.state, "failed");
  assert.deepEqual(calls, ["begin film.mov 10"]);
});

test("an upload that the daemon has forgotten begins again", async () => {
  let isDown = true;
  const { link, calls } = daemon((sending) => (sending === 1 && isDown ? new Error("restarted") : undefined));
  const upload = new BrowserUpload(file("film.mov", 10 * MIB), link, () => {});
  await upload.run();
  isDown = false;
  link.received = async () => {
    throw new Forgotten();
  };
  await upload.run();
  assert.equal(upload.state, "sent");
  assert.equal(calls.filter((call) => call.startsWith("begin")).length, 2);
});

test("a cancelled upload is removed, and stays cancelled", async () => {
  const { link, calls } = daemon();
  const upload = new BrowserUpload(file("film.mov", 100 * MIB), link, () => {
    if (upload.sentBytes > 0) void upload.cancel();
  });
  await upload.run();
  await upload.share();
  assert.equal(upload.state, "cancelled");
  assert.ok(upload.sentBytes < 100 * MIB);
  assert.ok(calls.includes("cancel u1"));
  assert.ok(!calls.some((call) => call.startsWith("finish")));
});
