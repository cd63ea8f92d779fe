// A tracker's console on a virtual terminal: what is typed stays whole, whatever is logged meanwhile.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, read, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { until } from "../../../harness/within.ts";
import { Screen } from "../../../src/cli/screen.ts";
import { TrackerTerminal, writtenInBackground } from "../../../src/cli/tracker-terminal.ts";
import { VirtualTerminal } from "./virtual-terminal.ts";

const readInBackground = promisify(read);
const CTRL_C = "\u0003";
const CTRL_D = "\u0004";

function open(t: TestContext, columns = 60) {
  const terminal = new VirtualTerminal(columns, 30);
  const input = new PassThrough();
  const screen = new Screen(terminal);
  const heard: string[] = [];
  const lines = new TrackerTerminal({
    ...{ input, screen, prompt: "tracker 1> ", commandNames: ["status", "backup"] },
    onInterrupt: () => heard.push("interrupt"),
    onInputEnd: () => screen.print(["The console is closed."]),
  });
  t.after(() => lines.close());
  lines.on("line", (line) => {
    heard.push(line);
    screen.print([`answer to ${line}`]);
  });
  const type = async (...keys: string[]): Promise<void> => {
    for (const key of keys) {
      input.write(key);
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { terminal, screen, lines, heard, type };
}

test("log lines appear above the prompt, and leave what is typed as it is", async (t) => {
  const { terminal, screen, type, heard } = open(t);
  await type("stat");
  screen.print(["18:05:03 INFO  one"]);
  screen.print([`18:05:04 ERROR ${"long ".repeat(30)}`]);
  await type("us");
  assert.equal(terminal.text[0], "18:05:03 INFO  one");
  assert.equal(terminal.cursorLine, "tracker 1> status|");
  await type("\r");
  assert.deepEqual(heard, ["status"]);
  assert.deepEqual(terminal.text.slice(-3), ["tracker 1> status", "answer to status", "tracker 1>"]);
});

test("a line that wraps survives what is logged, too", async (t) => {
  const { terminal, screen, type } = open(t, 20);
  await type("backup /a/long/folder/name");
  screen.print(["18:05:03 INFO"]);
  assert.deepEqual(terminal.text, ["18:05:03 INFO", "tracker 1> backup /a", "/long/folder/name"]);
});

test("Tab completes commands, Ctrl-C is told, and Ctrl-D closes the console alone", async (t) => {
  const { terminal, screen, type, heard } = open(t);
  await type("b", "\t");
  assert.equal(terminal.cursorLine, "tracker 1> backup |");
  await type("\u0015", CTRL_C, CTRL_D);
  assert.deepEqual(heard, ["interrupt"]);
  screen.print(["logged later"]);
  assert.deepEqual(terminal.text, ["The console is closed.", "logged later"]);
});

test("a terminal that nobody reads any more does not stop the tracker", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "stalled-"));
  const path = join(folder, "terminal");
  execFileSync("mkfifo", [path]);
  const descriptor = openSync(path, "r+");
  t.after(() => rmSync(folder, { recursive: true }));
  const stalled = writtenInBackground(new VirtualTerminal(), descriptor, (json) => json);
  const screen = new Screen(stalled);
  for (let line = 0; line < 2_000; line++) screen.print(["x".repeat(1_000)]);
  // The test goes on although a pipe holds 64 KiB and 1 MiB waits. That is read, so that the process can end.
  const buffer = Buffer.alloc(1024 * 1024);
  let readBytes = 0;
  while (readBytes < 1_000_000) readBytes += (await readInBackground(descriptor, { buffer })).bytesRead;
  closeSync(descriptor);
});

test("a console that the tracker closes is not said to have lost its input, and hears of Ctrl-Z no more", async (t) => {
  const before = process.listenerCount("SIGCONT");
  const { terminal, screen, lines, type } = open(t);
  assert.equal(process.listenerCount("SIGCONT"), before + 1);
  await type("half");
  lines.close();
  screen.print(["logged later"]);
  assert.deepEqual(terminal.text, ["logged later"]);
  assert.equal(process.listenerCount("SIGCONT"), before);
});

test("what is written in the background goes to the descriptor, and the terminal says its size", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "background-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "terminal");
  const descriptor = openSync(path, "w");
  t.after(() => closeSync(descriptor));
  const terminal = new VirtualTerminal(77, 11);
  const background = writtenInBackground(terminal, descriptor, (json) => json);
  assert.deepEqual([background.columns, background.rows], [77, 11]);
  assert.equal(background.write("a line"), true);
  await until(() => readFileSync(path, "utf8") === "a line", "the line on the descriptor", 5_000);
  assert.deepEqual(terminal.text, []);
  let resizes = 0;
  background.on("resize", () => resizes++);
  terminal.emit("resize");
  assert.equal(resizes, 1);
});
