// Ten thousand shares, a hundred thousand files: the page scrolls as smoothly as with ten, and holds no more than it shows.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { Browser, type OpenPage } from "../../harness/browser.ts";
import { DaemonScene, inHome } from "../../harness/daemon-scene.ts";
import { withoutChromium } from "../../harness/requirements.ts";
import { writeTree } from "../../harness/trees.ts";

const GROUP = "studio";
const SHARES = 10_000;
const FILES = 100_000;
/** Of processor time, in one task: a scroll that waits for it is still seen as moving. */
const MOST_TASK_MS = 100;
/** Elements and texts in the document, whatever the length of the list. */
const MOST_NODES = 6_000;
/** Ten thousand shares take some 10 MB, the names of 100,000 files some 20 MB. */
const MOST_HEAP_BYTES = 96 * 1024 * 1024;
const NOTCHES = 40;
/** Shares that others make one after the other, as fast as they can. */
const BURST = 200;
/** Ten reports of a type, and one list of what changed, with some room for types that come seldom. */
const MOST_EVENTS_A_SECOND = 15;

describe("many shares and files on the page", { skip: withoutChromium(), timeout: 240_000 }, () => {
  let scene: DaemonScene;
  let browser: Browser;

  before(async () => {
    [scene, browser] = await Promise.all([DaemonScene.open(1), Browser.launch()]);
    const [alice, bob] = await Promise.all([scene.member("alice"), scene.member("bob")]);
    await scene.group(GROUP, "alice", "bob");
    writeTree(inHome(bob, "dataset"), { fileCount: FILES, fileLengthBytes: 1 });
    await bob.api.call("uploadFile", { groupId: GROUP, path: inHome(bob, "dataset") });
    await scene.fillGroup(GROUP, "bob", SHARES);
    await alice.api.call("listFiles", { groupId: GROUP });
  });
  after(async () => {
    await browser[Symbol.asyncDispose]();
    await scene[Symbol.asyncDispose]();
  });
  const watched = (body: () => Promise<void>) => () => browser.watched(body)();

  /** Turns the wheel over what is in the middle, and looks at what that costs. */
  async function staysSmooth(opened: OpenPage): Promise<void> {
    const { page } = opened;
    await page.mouse.move(500, 500);
    const longestMs = await opened.longestTaskMs(async () => {
      for (let notch = 0; notch < NOTCHES; notch++) {
        await page.mouse.wheel(0, notch % 10 === 9 ? 50_000 : 600);
        await page.evaluate(
          "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))",
        );
      }
    });
    const facts = `longest task ${longestMs} ms, ${await opened.nodeCount()} nodes, ${await opened.heapBytes()} bytes`;
    assert.ok(longestMs < MOST_TASK_MS, facts);
    assert.ok((await opened.nodeCount()) < MOST_NODES, facts);
    assert.ok((await opened.heapBytes()) < MOST_HEAP_BYTES, facts);
  }

  it(
    `a group with ${SHARES} shares scrolls, and is filtered as one types`,
    watched(async () => {
      const opened = await browser.enter(scene.user("alice"));
      const { page } = opened;
      await page.goto(new URL(`#/groups/${GROUP}`, page.url()).href);
      await page.getByRole("link", { name: "file-0.bin", exact: true }).waitFor();
      await staysSmooth(opened);
      await page.keyboard.press("/");
      const typingMs = await opened.longestTaskMs(async () => {
        await page.keyboard.type("file-9876");
        await page.getByRole("link", { name: "file-9876.bin", exact: true }).waitFor();
      });
      assert.ok(typingMs < 2 * MOST_TASK_MS, `typing took a task of ${typingMs} ms`);
    }),
  );

  it(
    `a folder of ${FILES} files opens as a tree and scrolls`,
    watched(async () => {
      const opened = await browser.enter(scene.user("alice"));
      const { page } = opened;
      await page.goto(new URL(`#/choose/${GROUP}/dataset`, page.url()).href);
      const root = page.getByRole("treeitem", { name: /^dataset/ });
      await root.waitFor();
      await page.getByPlaceholder("Filter, for example *.mov").fill("file-*");
      await page.getByRole("button", { name: /^Only these/ }).waitFor();
      await staysSmooth(opened);
    }),
  );

  it(
    "news come to the page at a bounded rate, however much happens",
    watched(async () => {
      const [alice, bob] = [scene.user("alice"), scene.user("bob")];
      await scene.group("busy", "alice", "bob");
      const stop = new AbortController();
      let told = 0;
      const reading = (async () => {
        for await (const _ of bob.api.events(stop.signal)) told++;
      })();
      const paths = Array.from({ length: BURST }, (_, index) => inHome(alice, `burst-${index}`));
      const startedMs = performance.now();
      for (const path of paths) {
        writeFileSync(path, path);
        await alice.api.call("uploadFile", { groupId: "busy", path });
      }
      const seconds = (performance.now() - startedMs) / 1000;
      stop.abort();
      await reading;
      assert.ok(told > 1, "nothing was told");
      assert.ok(told <= MOST_EVENTS_A_SECOND * (seconds + 1), `${told} events in ${seconds} s`);
    }),
  );
});
