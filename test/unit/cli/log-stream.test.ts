// Lines to a stream that fails are lost, counted, and nothing else; to one that works again, they go on.
import assert from "node:assert/strict";
import fs, {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { LogStream } from "../../../src/cli/log-stream.ts";

// Each stream listens for the end of the process.
process.setMaxListeners(50);

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "log-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

async function until(holds: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 10_000;
  while (!holds()) {
    assert.ok(Date.now() < deadlineMs, "it did not come about in time");
    await new Promise(setImmediate);
  }
}

test("lines go to a file whose folder is made, in their order", async (t) => {
  const path = join(folder(t), "new", "client.log");
  const stream = new LogStream(path);
  for (let line = 0; line < 1_000; line++) stream.write(`${line}\n`);
  const expected = Array.from({ length: 1_000 }, (_, line) => `${line}\n`).join("");
  await until(() => readFileSync(path, "utf8") === expected);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("a file that has become too long is set aside, and only one of them is kept", async (t) => {
  const path = join(folder(t), "client.log");
  const stream = new LogStream(path, { maxFileBytes: 1_000 });
  for (let line = 0; line < 100; line++) {
    const text = `${line} ${"x".repeat(100)}\n`;
    stream.write(text);
    await until(() => readFileSync(path, "utf8").endsWith(text));
  }
  assert.ok(statSync(path).size <= 1_200);
  assert.ok(statSync(`${path}.1`).size <= 1_200);
});

const FAILING: Record<string, (t: TestContext) => number> = {
  "a full disk": (t) => {
    const fd = openSync("/dev/full", "w");
    t.after(() => closeSync(fd));
    return fd;
  },
  // No file gets this number, as one that has just been closed would.
  "a descriptor that is closed": () => 1_000_000,
  "one that is open for reading alone": (t) => {
    const fd = openSync("/dev/null", "r");
    t.after(() => closeSync(fd));
    return fd;
  },
};

for (const [what, open] of Object.entries(FAILING)) {
  test(`${what} is borne`, async (t) => {
    // It tries again after a pause, when another file may have the descriptor's number.
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { write } = fs;
    let errors = 0;
    type Done = (error: Error | null, written: number) => void;
    t.mock.method(
      fs,
      "write",
      (fd: number, bytes: Buffer, from: number, length: number, at: null, done: Done) =>
        write(fd, bytes, from, length, at, (error, written) => {
          if (error !== null) errors++;
          done(error, written);
        }),
    );
    syncBuiltinESMExports();
    t.after(() => {
      t.mock.restoreAll();
      syncBuiltinESMExports();
    });
    const stream = new LogStream(open(t));
    for (let line = 0; line < 100; line++) stream.write("a line\n");
    await until(() => errors === 1);
    stream.write("another\n");
    t.mock.timers.tick(1_000);
    await until(() => errors === 2);
  });
}

test("the number of lost lines is told once lines can be written again", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const path = folder(t);
  const stream = new LogStream(join(path, "log"));
  rmSync(path, { recursive: true });
  closeSync(openSync(path, "w")); // a file where the folder should be
  stream.write("first\n");
  stream.write("second\n");
  rmSync(path);
  t.mock.timers.tick(10_000);
  stream.write("third\n");
  const read = (): string => {
    try {
      return readFileSync(join(path, "log"), "utf8");
    } catch {
      return "";
    }
  };
  await until(() => read().endsWith("third\n"));
  const [told = "", ...others] = read().trim().split("\n");
  assert.deepEqual(others, ["second", "third"]);
  const { lines, msg, reason } = JSON.parse(told) as Record<string, unknown>;
  assert.deepEqual({ lines, msg }, { lines: 1, msg: "log lines were lost" });
  assert.match(String(reason), /ENOTDIR|EEXIST/);
});

interface PendingWrite {
  readonly text: string;
  readonly done: (error: Error | null, written: number) => void;
}

/** Writes of the stream, which are done when the test says so. */
function writesOf(t: TestContext): PendingWrite[] {
  const writes: PendingWrite[] = [];
  t.mock.method(
    fs,
    "write",
    (
      _fd: number,
      bytes: Buffer,
      from: number,
      length: number,
      _at: null,
      done: (error: Error | null, written: number) => void,
    ) => writes.push({ text: bytes.toString("utf8", from, from + length), done }),
  );
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  return writes;
}

const bytesOf = ({ text }: PendingWrite): number => Buffer.byteLength(text);

test("1 MiB of lines waits while nothing is written; the others are counted, once", (t) => {
  const writes = writesOf(t);
  const stream = new LogStream(1);
  const line = `${"x".repeat(1_023)}\n`;
  const writeAll = (at: number): void => {
    const write = writes[at];
    assert.ok(write);
    write.done(null, bytesOf(write));
  };
  stream.write("first\n");
  for (let count = 0; count < 1_024; count++) stream.write(line);
  stream.write(line);
  stream.write("x\n");
  assert.equal(writes.length, 1);
  writeAll(0);
  const [told = "", ...others] = writes[1]?.text.trimEnd().split("\n") ?? [];
  const { lines, reason } = JSON.parse(told) as Record<string, unknown>;
  assert.deepEqual([lines, reason], [2, "they came faster than they could be written"]);
  assert.equal(others.length, 1_024);
  for (let count = 0; count < 1_024; count++) stream.write(line);
  writeAll(1);
  assert.equal(writes[2]?.text, line.repeat(1_024), "there was room again, and nothing more is told");
  writeAll(2);
  stream.write("last\n");
  assert.equal(writes[3]?.text, "last\n");
});

test("a write that was done in part goes on where it ended", (t) => {
  const writes = writesOf(t);
  const stream = new LogStream(1);
  stream.write("one line\n");
  writes[0]?.done(null, 4);
  assert.equal(writes[1]?.text, "line\n");
  stream.write("another\n");
  assert.equal(writes.length, 2, "one write at a time");
  writes[1]?.done(null, 5);
  assert.equal(writes[2]?.text, "another\n");
});

test("a line that a failure cut is ended before the next, and all that was lost is told with the last cause", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const writes = writesOf(t);
  const stream = new LogStream(1);
  stream.write("one line\n");
  writes[0]?.done(null, 4);
  writes[1]?.done(new Error("EIO"), 0);
  stream.write("two\n");
  stream.write("three\n");
  t.mock.timers.tick(999);
  assert.equal(writes.length, 2, "it pauses for a second");
  t.mock.timers.tick(1);
  assert.match(writes[2]?.text ?? "", /^\n\{.*"lines":1,"reason":"EIO".*\}\ntwo\nthree\n$/);
  writes[2]?.done(new Error("ENOSPC"), 0);
  stream.write("four\n");
  t.mock.timers.tick(1_000);
  assert.match(writes[3]?.text ?? "", /^\n\{.*"lines":3,"reason":"ENOSPC".*\}\nfour\n$/);
  writes[3]?.done(null, bytesOf(writes[3]));
  stream.write("five\n");
  assert.equal(writes[4]?.text, "five\n");
});

test("waiting lines are written when the process ends, unless a write is under way that may never end", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const writes = writesOf(t);
  const last: unknown[] = [];
  t.mock.method(fs, "writeSync", (...given: unknown[]) => last.push(given));
  syncBuiltinESMExports();
  const before = process.listenerCount("exit");
  const stream = new LogStream(1);
  const atExit = process.rawListeners("exit").slice(before);
  assert.equal(atExit.length, 1);
  const [exit] = atExit;
  t.after(() => process.removeListener("exit", exit as () => void));
  stream.write("one\n");
  stream.write("two\n");
  Reflect.apply((exit as unknown as { listener: () => void }).listener, process, []);
  assert.deepEqual(last, []);
  writes[0]?.done(new Error("EAGAIN"), 0);
  Reflect.apply((exit as unknown as { listener: () => void }).listener, process, []);
  assert.deepEqual(last, [[1, "two\n"]]);
});

test("a file that is there already counts with its length, and the one that is set aside is closed", async (t) => {
  const parent = folder(t);
  const path = join(parent, "logs", "client.log");
  mkdirSync(join(parent, "logs"));
  writeFileSync(path, "x".repeat(2_000));
  const openFiles = (): number => (existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0);
  const stream = new LogStream(path, { maxFileBytes: 1_000 });
  stream.write("first\n");
  await until(() => readFileSync(path, "utf8").endsWith("first\n"));
  const before = openFiles();
  stream.write("second\n");
  await until(() => readFileSync(path, "utf8") === "second\n");
  assert.equal(statSync(`${path}.1`).size, 2_006);
  assert.equal(openFiles(), before);
});

test("a folder that is made for a log is for its owner alone", async (t) => {
  const path = join(folder(t), "new", "client.log");
  const stream = new LogStream(path);
  stream.write("a line\n");
  await until(() => existsSync(path) && readFileSync(path, "utf8") !== "");
  assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
});
