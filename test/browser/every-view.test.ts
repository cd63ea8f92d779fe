// What holds in every view: whoever cannot use a mouse, see well, or has a phone in hand gets along; nothing sticks out sideways.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { Browser, type OpenPage } from "../../harness/browser.ts";
import { DaemonScene, downloadUntil, inHome } from "../../harness/daemon-scene.ts";
import { withoutChromium } from "../../harness/requirements.ts";
import { pngPicture } from "../../harness/sample-media.ts";
import { writeRandomFile } from "../../harness/scene.ts";

const GROUP = "studio";
/** Each view's address, and what it shows when it is complete. */
const VIEWS = {
  "#/transfers": "slow.mov",
  [`#/transfers/${GROUP}/slow.mov`]: "Pieces",
  "#/groups": GROUP,
  [`#/groups/${GROUP}`]: "a-file-with-a-rather-long-name-of-its-own-for-narrow-screens.txt",
  [`#/groups/${GROUP}/members`]: "carol",
  [`#/groups/${GROUP}/requests`]: "Accept",
  [`#/groups/${GROUP}/activity`]: "Activity",
  [`#/groups/${GROUP}/invites`]: "Invites",
  [`#/choose/${GROUP}/pictures`]: "one.png",
  [`#/share/${GROUP}`]: "On this machine",
  [`#/preview/${GROUP}/mine?path=one.png`]: "one.png",
  "#/settings/rates": "Down",
  "#/settings/schedule": "Schedule",
  "#/settings/roots": "Folders",
  "#/settings/tokens": "Browsers",
  "#/settings/look": "Theme",
  "#/settings/trackers": "Trackers",
} as const;
const PHONE = { width: 360, height: 740 };

describe("every view of the page", { skip: withoutChromium() }, () => {
  let scene: DaemonScene;
  let browser: Browser;

  before(async () => {
    [scene, browser] = await Promise.all([DaemonScene.open(1), Browser.launch()]);
    const names = ["alice", "bob", "carol", "dave"];
    await Promise.all(names.map((name) => scene.member(name)));
    await scene.group(GROUP, "alice", "bob", "carol");
    await scene.user("dave").api.call("joinGroup", { groupId: GROUP });
    const [alice, bob] = [scene.user("alice"), scene.user("bob")];
    for (const [user, folder] of [
      [alice, "mine"],
      [bob, "pictures"],
    ] as const) {
      mkdirSync(inHome(user, folder));
      for (const name of ["one", "two"])
        writeFileSync(inHome(user, folder, `${name}.png`), pngPicture(64, 48, 1));
      await user.api.call("uploadFile", { groupId: GROUP, path: inHome(user, folder) });
    }
    writeRandomFile(inHome(bob, "slow.mov"), 40_000_000);
    const long = "a-file-with-a-rather-long-name-of-its-own-for-narrow-screens.txt";
    writeFileSync(inHome(bob, long), "long");
    for (const name of ["slow.mov", long]) {
      await bob.api.call("uploadFile", { groupId: GROUP, path: inHome(bob, name) });
    }
    await alice.api.call("limit", { direction: "down", bytesPerSecond: 100_000 });
    const [destinationPath, all] = [inHome(alice, "slow.mov"), undefined];
    const share = { groupId: GROUP, fileName: "slow.mov" };
    await alice.api.call("downloadFile", { ...share, destinationPath, only: all, except: all });
    await downloadUntil(alice, share, ({ piecesVerified }) => piecesVerified > 0);
  });
  after(async () => {
    await browser[Symbol.asyncDispose]();
    await scene[Symbol.asyncDispose]();
  });
  const watched = (body: () => Promise<void>) => () => browser.watched(body)();

  /** Goes to each view, and tells what is found there. */
  async function inEveryView(
    opened: OpenPage,
    find: (opened: OpenPage) => Promise<readonly string[]>,
  ): Promise<string[]> {
    const found: string[] = [];
    for (const [address, shown] of Object.entries(VIEWS)) {
      await opened.page.goto(new URL(address, opened.page.url()).href);
      // The frame has names of groups, too, before the view is there.
      const view = opened.page.locator("main:has(h1), [role=dialog], dialog");
      await view.getByText(shown).locator("visible=true").first().waitFor();
      for (const fault of await find(opened)) found.push(`${address}: ${fault}`);
    }
    return found;
  }

  for (const theme of ["light", "dark"] as const) {
    it(
      `axe-core finds nothing, ${theme}`,
      watched(async () => {
        const opened = await browser.enter(scene.user("alice"), { theme });
        assert.deepEqual(await inEveryView(opened, (page) => page.accessibilityFaults()), []);
      }),
    );
  }

  it(
    "axe-core finds nothing on a phone, and no view scrolls sideways at 360 pixels",
    watched(async () => {
      const opened = await browser.enter(scene.user("alice"), PHONE);
      const faults = await inEveryView(opened, async (page) => {
        const pixels = await page.sidewaysPixels();
        return [...(await page.accessibilityFaults()), ...(pixels > 0 ? [`${pixels} pixels stick out`] : [])];
      });
      assert.deepEqual(faults, []);
    }),
  );

  it(
    "the first screen, and a browser without a link, are for everybody too",
    watched(async () => {
      const stranger = await scene.stranger("erin");
      for (const options of [{ theme: "dark" }, PHONE] as const) {
        const opened = await browser.enter(stranger, options);
        assert.deepEqual(await opened.accessibilityFaults(), []);
        assert.equal(await opened.sidewaysPixels(), 0);
        await opened.page.context().clearCookies();
        await opened.page.reload();
        await opened.page.getByText("minitorrent web").waitFor();
        assert.deepEqual(await opened.accessibilityFaults(), []);
      }
    }),
  );

  it(
    "the keyboard alone suffices: from the list of transfers to a group, a download and back",
    watched(async () => {
      const { page } = await browser.enter(scene.user("carol"));
      await page.getByRole("heading", { name: "Transfers", exact: true }).waitFor();
      const { keyboard } = page;
      await keyboard.press("g");
      await keyboard.press("1");
      await page.getByRole("heading", { name: GROUP }).waitFor();
      await page.getByRole("link", { name: "pictures", exact: true }).waitFor();
      await keyboard.press("/");
      await keyboard.type("pictures");
      await page.getByText("1 share found").first().waitFor();
      const focused = () => page.evaluate("document.activeElement?.textContent ?? ''");
      for (let presses = 0; presses < 20 && !String(await focused()).startsWith("pictures"); presses++) {
        await keyboard.press("Tab");
      }
      await keyboard.press("Enter");
      await page.getByRole("dialog").waitFor();
      await page.getByRole("treeitem", { name: /^one.png/ }).waitFor();
      const button = () => page.evaluate("document.activeElement?.textContent ?? ''");
      for (let presses = 0; presses < 30 && !/^Download /.test(String(await button())); presses++) {
        await keyboard.press("Tab");
      }
      await keyboard.press("Enter");
      await page.getByRole("dialog").waitFor({ state: "hidden" });
      await downloadUntil(
        scene.user("carol"),
        { groupId: GROUP, fileName: "pictures" },
        ({ state }) => state === "complete",
      );
      await keyboard.press("g");
      await keyboard.press("t");
      await page.getByText("Complete and checked").first().waitFor();
      await keyboard.press("?");
      await page.getByRole("dialog", { name: "Keys" }).waitFor();
      await keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "hidden" });
    }),
  );
});
