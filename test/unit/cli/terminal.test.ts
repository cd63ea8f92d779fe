import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { Screen } from "../../../src/cli/screen.ts";
import { editAfterStop, isInteractive, wantsColor } from "../../../src/cli/terminal.ts";
import { FakeProcess } from "./fake-process.ts";
import { VirtualTerminal } from "./virtual-terminal.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a person is there only where both ends are a terminal that can be painted", () => {
  const terminal = new FakeProcess({ isTTY: true });
  const pipe = new FakeProcess();
  assert.equal(isInteractive(terminal), true);
  assert.equal(isInteractive(pipe), false);
  assert.equal(isInteractive(Object.assign(new FakeProcess({ isTTY: true }), { stdin: pipe.stdin })), false);
  assert.equal(
    isInteractive(Object.assign(new FakeProcess({ isTTY: true }), { stdout: pipe.stdout })),
    false,
  );
  terminal.env.TERM = "dumb";
  assert.equal(isInteractive(terminal), false);
});

test("a pipe gets no colours, unless somebody asks for them", (t) => {
  const { FORCE_COLOR, NO_COLOR, NODE_DISABLE_COLORS } = process.env;
  t.after(() => {
    for (const [name, value] of Object.entries({ FORCE_COLOR, NO_COLOR, NODE_DISABLE_COLORS })) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  for (const name of ["FORCE_COLOR", "NO_COLOR", "NODE_DISABLE_COLORS"]) delete process.env[name];
  assert.equal(wantsColor(new FakeProcess().stdout), false);
  process.env.FORCE_COLOR = "1";
  assert.equal(wantsColor(new FakeProcess().stdout), true);
});

test("after Ctrl-Z and fg the terminal is set anew and the prompt is drawn again, until the editor ends", async (t) => {
  const terminal = new VirtualTerminal(40, 10);
  const screen = new Screen(terminal);
  const modes: boolean[] = [];
  const input = Object.assign(new PassThrough(), { setRawMode: (isRaw: boolean) => modes.push(isRaw) });
  const editor = createInterface({ input, output: screen.editorOutput, terminal: true, prompt: "> " });
  t.after(() => editor.close());
  screen.attach(editor);
  editor.prompt();
  const end = editAfterStop(input, editor, screen);
  modes.length = 0;
  editor.pause();
  terminal.write("\r\nanother program");
  process.emit("SIGCONT", "SIGCONT");
  await turn();
  assert.deepEqual(modes, [false, true]);
  assert.equal(input.isPaused(), false);
  assert.equal(terminal.cursorLine, "> |");
  const count = process.listenerCount("SIGCONT");
  modes.length = 0;
  process.emit("SIGCONT", "SIGCONT");
  end();
  await turn();
  assert.deepEqual(modes, [], "not after the end");
  assert.equal(process.listenerCount("SIGCONT"), count - 1);
});
