// `minitorrent web`: the link that it says, and what it opens.
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { openPage } from "../../../src/cli/web-command.ts";
import type { ApiClient } from "../../../src/daemon/api-client.ts";
import { temporaryFolder } from "../daemon/fixture.ts";

const URL_MADE = "http://127.0.0.1:7411/#link=s3cret";

/** Runs it. @returns what it said, and the files that it opened */
async function web(t: TestContext, env: NodeJS.ProcessEnv, { isShownOnly = false, canOpen = true } = {}) {
  const dataDir = temporaryFolder(t);
  const [lines, opened]: [string[], string[]] = [[], []];
  await openPage(
    {
      env,
      dataDir,
      api: { call: async () => ({ url: URL_MADE }) } as unknown as ApiClient,
      log: (line) => lines.push(line),
      openFile: async (path) => {
        opened.push(path);
        return canOpen;
      },
    },
    isShownOnly,
  );
  return { lines, opened };
}

test("the link is opened from a private file: the arguments of a program are not secret", async (t) => {
  const { lines, opened } = await web(t, { WAYLAND_DISPLAY: "wayland-0" });
  assert.deepEqual(lines, [
    "This link opens the page once, within two minutes:",
    URL_MADE,
    "It is being opened in your browser.",
  ]);
  const [path = ""] = opened;
  assert.ok(!path.includes("s3cret"));
  assert.ok(readFileSync(path, "utf8").includes(`content="0;url=${URL_MADE}"`));
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("over SSH, without a display or without a program to open it, it says how to reach the page", async (t) => {
  const { lines, opened } = await web(t, {
    ...{ DISPLAY: ":10", USER: "ann" },
    SSH_CONNECTION: "192.0.2.7 50000 192.0.2.1 22",
  });
  assert.equal(opened.length, 0);
  assert.match(lines[2] ?? "", /ssh -L 7411:127\.0\.0\.1:7411 ann@192\.0\.2\.1$/);
  const failed = await web(t, { DISPLAY: ":0" }, { canOpen: false });
  assert.match(failed.lines[2] ?? "", /ssh -L 7411:127\.0\.0\.1:7411 user@this-machine$/);
});

test("without a display nothing is opened", { skip: process.platform !== "linux" }, async (t) => {
  const { lines, opened } = await web(t, { DISPLAY: "" });
  assert.deepEqual([opened.length, lines.length], [0, 3]);
});

test("a link that is only asked for is not opened", async (t) => {
  const { lines, opened } = await web(t, { DISPLAY: ":0" }, { isShownOnly: true });
  assert.deepEqual([lines.length, opened.length], [2, 0]);
});
