// The painted screen on a virtual terminal: what is typed survives whatever is said around it.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import { PassThrough } from "node:stream";
import { afterEach, describe, it } from "node:test";
import fc from "fast-check";
import { Screen } from "../../../src/cli/screen.ts";
import { VirtualTerminal } from "./virtual-terminal.ts";

const opened: Interface[] = [];
afterEach(() => {
  for (const editor of opened.splice(0)) editor.close();
});

function open(columns = 20, rows = 10) {
  const terminal = new VirtualTerminal(columns, rows);
  const screen = new Screen(terminal);
  const input = new PassThrough();
  const editor = createInterface({ input, output: screen.editorOutput, terminal: true, prompt: "> " });
  opened.push(editor);
  screen.attach(editor);
  editor.prompt();
  const type = async (keys: string): Promise<void> => {
    if (keys === "") return;
    const read = once(input, "data");
    input.write(keys);
    await read;
  };
  return { terminal, screen, editor, type };
}

const LEFT = "\u001b[D";

describe("Screen", () => {
  it("says things above the line being typed, which stays as it is", async () => {
    const { terminal, screen, type } = open();
    await type("half a comm");
    screen.print(["alice asks to join"]);
    assert.deepEqual(terminal.text, ["alice asks to join", "> half a comm"]);
    assert.equal(terminal.cursorLine, "> half a comm|");
    await type("and");
    assert.equal(terminal.cursorLine, "> half a command|");
  });

  it("leaves no gap when the typed line is longer than the terminal", async () => {
    const { terminal, screen, type } = open();
    await type("0123456789 0123456789 0123456789");
    screen.print(["one"]);
    screen.print(["two"]);
    assert.deepEqual(terminal.text, ["one", "two", "> 0123456789 0123456", "789 0123456789"]);
  });

  it("draws rightly around pasted text that ends in the last column", async () => {
    const { terminal, screen, type } = open();
    screen.print(["one"]);
    await type("0123456789 0123456");
    await type("7");
    screen.print(["two"]);
    assert.deepEqual(terminal.text, ["one", "two", "> 0123456789 0123456", "7"]);
    const pasted = open();
    pasted.screen.print(["one"]);
    pasted.screen.setLive(["[D] 41%"]);
    await pasted.type("0123456789 0123456".slice(0, 18));
    pasted.screen.print(["two"]);
    assert.deepEqual(pasted.terminal.text, ["one", "two", "> 0123456789 0123456", "", "[D] 41%"]);
  });

  it("leaves nothing of a live line behind text that is pasted over it", async () => {
    const { terminal, screen, type } = open();
    screen.setLive(["[D] a live line 41%"]);
    await type("0123456789 0123456789");
    assert.deepEqual(terminal.text, ["> 0123456789 0123456", "789", "[D] a live line 41%"]);
  });

  it("keeps live lines below, and the cursor where it was in the middle of the line", async () => {
    const { terminal, screen, type } = open();
    await type(`0123456789 0123456789 0123456789${LEFT.repeat(20)}`);
    screen.setLive(["[D] 41%", "[D] 7%"]);
    const typed = ["> 0123456789 0123456", "789 0123456789"];
    assert.deepEqual(terminal.text, [...typed, "[D] 41%", "[D] 7%"]);
    assert.equal(terminal.cursorLine, "> 0123456789 0|123456");
    screen.setLive(["[D] 42%"]);
    assert.deepEqual(terminal.text, [...typed, "[D] 42%"]);
    screen.setLive([]);
    assert.deepEqual(terminal.text, typed);
    assert.equal(terminal.cursorLine, "> 0123456789 0|123456");
  });

  it("leaves no live line behind when a line is entered", async () => {
    const { terminal, screen, editor, type } = open();
    screen.setLive(["[D] 41%", "[D] 7%"]);
    await type("one\r");
    editor.prompt();
    screen.refresh();
    assert.deepEqual(terminal.text, ["> one", ">", "[D] 41%", "[D] 7%"]);
  });

  it("shows no more live lines than there is room for", () => {
    const { terminal, screen } = open(20, 5);
    screen.setLive(["1", "2", "3", "4", "5", "6"]);
    assert.deepEqual(terminal.text, [">", "1", "2", "3"]);
  });

  it("does not show what is typed as the answer to a question, also when something is said meanwhile", async () => {
    const { terminal, screen, type } = open();
    screen.hideTyping("Password: ");
    await type("geh");
    screen.print(["alice asks to join"]);
    screen.setLive(["[D] 41%"]);
    await type("eim");
    assert.deepEqual(terminal.text, ["alice asks to join", "Password:", "[D] 41%"]);
    assert.equal(terminal.cursorLine, "Password: |");
    await type("\r");
    screen.showTyping();
    assert.deepEqual(terminal.text, ["alice asks to join", "Password:", ">", "[D] 41%"]);
  });

  it("draws a new prompt around what is typed", async () => {
    const { terminal, screen, type } = open();
    await type("word");
    screen.setPrompt("alice> ");
    assert.deepEqual(terminal.text, ["alice> word"]);
    assert.equal(terminal.cursorLine, "alice> word|");
  });

  it("keeps typed text, notices and live lines apart, whatever comes in whatever order", async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("type"), text: fc.stringMatching(/^[a-z ]{1,30}$/) }),
      fc.record({ kind: fc.constant("left"), text: fc.constant("") }),
      fc.record({ kind: fc.constant("print"), text: fc.stringMatching(/^[A-Z]{1,19}$/) }),
      fc.record({ kind: fc.constant("live"), text: fc.stringMatching(/^[0-9]{0,3}$/) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        const { terminal, screen, editor, type } = open(20, 40);
        const said: string[] = [];
        let live: string[] = [];
        for (const { kind, text } of steps) {
          if (kind === "type") await type(text);
          if (kind === "left") await type(LEFT.repeat(7));
          if (kind === "print") {
            said.push(text);
            screen.print([text]);
          }
          if (kind === "live") {
            live = [...text].map((digit) => digit.repeat(Number(digit) * 2 + 1));
            screen.setLive(live);
          }
        }
        screen.refresh();
        const typed = `> ${editor.line}`;
        const rows = (typed.match(/.{1,20}/g) ?? []).map((row) => row.trimEnd());
        if (typed.length % 20 === 0) rows.push("");
        const expected = [...said, ...rows, ...live];
        while (expected.at(-1) === "") expected.pop();
        assert.deepEqual(terminal.text, expected);
        editor.close();
      }),
      { numRuns: 150 },
    );
  });
});
