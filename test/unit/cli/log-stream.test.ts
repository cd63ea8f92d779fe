// Lines to a stream that fails are lost, counted, and nothing else; to one that works again, they go on.
import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { LogStream } from "../../../src/cli/log-stream.ts";

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
  "a descriptor that is closed": () => {
    const fd = openSync("/dev/null", "w");
    closeSync(fd);
    return fd;
  },
  "one that is open for reading alone": (t) => {
    const fd = openSync("/dev/null", "r");
    t.after(() => closeSync(fd));
    return fd;
  },
};

for (const [what, open] of Object.entries(FAILING)) {
  test(`${what} is borne`, async (t) => {
    const stream = new LogStream(open(t));
    for (let line = 0; line < 100; line++) stream.write("a line\n");
    await new Promise(setImmediate);
    stream.write("another\n");
  });
}

test("what was lost is told once lines can be written again", async (t) => {
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
