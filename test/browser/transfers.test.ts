// Transfers on the page: what moves, what stands still and why, and a look at what is on its way.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { Browser } from "../../harness/browser.ts";
import { DaemonScene, downloadOf, downloadUntil, inHome } from "../../harness/daemon-scene.ts";
import { withoutChromium } from "../../harness/requirements.ts";
import { pngPicture, wavSound } from "../../harness/sample-media.ts";
import { writeRandomFile } from "../../harness/scene.ts";
import { until } from "../../harness/within.ts";

const GROUP = "studio";
/** Slow enough to be looked at. */
const SLOW = 200_000;

describe("transfers on the page", { skip: withoutChromium() }, () => {
  let scene: DaemonScene;
  let browser: Browser;

  before(async () => {
    [scene, browser] = await Promise.all([DaemonScene.open(1), Browser.launch()]);
    await Promise.all([scene.member("alice"), scene.member("bob")]);
    await scene.group(GROUP, "alice", "bob");
    mkdirSync(inHome(scene.user("bob"), "in"));
    await setLimit(SLOW);
  });
  after(async () => {
    await browser[Symbol.asyncDispose]();
    await scene[Symbol.asyncDispose]();
  });
  const watched = (body: () => Promise<void>) => () => browser.watched(body)();

  async function setLimit(bytesPerSecond: number | null): Promise<void> {
    await scene.user("bob").api.call("limit", { direction: "down", bytesPerSecond });
  }

  /** alice shares what she wrote under that name; bob downloads it. */
  async function begin(fileName: string): Promise<void> {
    const [alice, bob] = [scene.user("alice"), scene.user("bob")];
    await alice.api.call("uploadFile", { groupId: GROUP, path: inHome(alice, fileName) });
    const [destinationPath, all] = [inHome(bob, "in", fileName), undefined];
    await bob.api.call("downloadFile", { groupId: GROUP, fileName, destinationPath, only: all, except: all });
  }

  it(
    "a download is paused, resumed, limited and cancelled",
    watched(async () => {
      writeRandomFile(inHome(scene.user("alice"), "master.mov"), 30_000_000);
      await begin("master.mov");
      const bob = scene.user("bob");
      const stateIs = (state: string) => async () =>
        (await downloadOf(bob, GROUP, "master.mov")).state === state;
      const { page } = await browser.enter(bob);
      await page.getByRole("progressbar", { name: "master.mov" }).waitFor();
      await page.getByRole("button", { name: "Pause master.mov" }).click();
      await until(stateIs("paused"), "the download to pause");
      await page.getByRole("button", { name: "Resume master.mov" }).click();
      await until(stateIs("downloading"), "the download to go on");
      await page.getByRole("link", { name: "master.mov" }).first().click();
      const details = page.getByRole("complementary", { name: "Details of master.mov" });
      await details.getByRole("heading", { name: "Pieces" }).waitFor();
      await details.getByText("alice").first().waitFor();
      await details.getByRole("button", { name: "Limit", exact: true }).click();
      await page.getByRole("dialog").getByLabel("Down").fill("0.1");
      await page.getByRole("button", { name: "Set limits" }).click();
      await page.getByText("The limits of master.mov are set.").first().waitFor();
      const { files } = await bob.api.call("limits", {});
      assert.deepEqual(files, [{ groupId: GROUP, fileName: "master.mov", down: 100_000 }]);
      await page.getByRole("button", { name: "More for master.mov" }).first().click();
      await page.getByRole("menuitem", { name: "Cancel the download" }).click();
      await page.getByText("master.mov is cancelled.").first().waitFor();
      await until(async () => (await bob.api.call("downloads", {})).length === 0, "the download to be gone");
    }),
  );

  it(
    "what stands still says why, and says when it moves again",
    watched(async () => {
      const alice = scene.user("alice");
      writeRandomFile(inHome(alice, "rough.mov"), 4_000_000);
      await begin("rough.mov");
      const bob = scene.user("bob");
      const { page } = await browser.enter(bob);
      await downloadUntil(
        bob,
        { groupId: GROUP, fileName: "rough.mov" },
        ({ piecesVerified }) => piecesVerified > 0,
      );
      await alice.api.call("stopShare", { groupId: GROUP, fileName: "rough.mov" });
      await page
        .getByText(/alice is online, but no longer shares it/i)
        .first()
        .waitFor();
      await page.getByRole("link", { name: "Why" }).click();
      await page.getByRole("heading", { name: "Why it stands still" }).waitFor();
      await page.getByText("What happens next").waitFor();
      await setLimit(null);
      await alice.api.call("uploadFile", { groupId: GROUP, path: inHome(alice, "rough.mov") });
      await page.getByText("Complete and checked").first().waitFor();
      await setLimit(SLOW);
    }),
  );

  it(
    "sound plays from its middle, pictures and text are shown, while they download",
    watched(async () => {
      const alice = scene.user("alice");
      mkdirSync(inHome(alice, "media"));
      writeFileSync(inHome(alice, "media", "1-sound.wav"), wavSound(120));
      writeFileSync(inHome(alice, "media", "2-picture.png"), pngPicture(320, 200, 1));
      writeFileSync(inHome(alice, "media", "3-notes.txt"), "a line of the notes\n".repeat(50));
      await begin("media");
      const bob = scene.user("bob");
      const { page } = await browser.enter(bob);
      await page.getByRole("link", { name: "media" }).first().click();
      await page.getByRole("link", { name: /1-sound/ }).click();
      await page.getByRole("heading", { name: "1-sound.wav" }).waitFor();
      const playsAt = async () =>
        Number(await page.evaluate("document.querySelector('audio')?.currentTime ?? 0"));
      await until(
        async () => Number(await page.evaluate("document.querySelector('audio')?.duration || 0")) > 119,
        "the length of the sound",
      );
      await page.evaluate("document.querySelector('audio').currentTime = 100");
      await page.getByRole("button", { name: /^Play/ }).click();
      await until(async () => (await playsAt()) > 101, "the sound to play from there");
      assert.notEqual((await downloadOf(bob, GROUP, "media")).state, "complete");
      await page.getByRole("button", { name: /^Next file/ }).click();
      await page.getByRole("heading", { name: "2-picture.png" }).waitFor();
      await until(
        async () => (await page.evaluate("document.querySelector('main img')?.naturalWidth ?? 0")) === 320,
        "the picture",
      );
      await page.getByRole("button", { name: /^Next file/ }).click();
      await page.getByText("a line of the notes").first().waitFor();
      await setLimit(null);
      await downloadUntil(bob, { groupId: GROUP, fileName: "media" }, ({ state }) => state === "complete");
      await setLimit(SLOW);
    }),
  );

  it(
    "a daemon that goes away is missed in words, and the page goes on by itself when it is back",
    watched(async () => {
      const { page } = await browser.enter(scene.user("bob"));
      await page.getByRole("link", { name: "media" }).first().waitFor();
      await scene.stop("bob", "SIGKILL");
      const again = page.getByRole("button", { name: "Try now" });
      await again.waitFor();
      assert.equal(await page.getByRole("link", { name: "media" }).first().isVisible(), true);
      await scene.start("bob", "--web", new URL(page.url()).host);
      await again.waitFor({ state: "hidden" });
      await page.getByRole("navigation", { name: "Groups" }).getByRole("link", { name: GROUP }).click();
      await page.getByText("media").first().waitFor();
    }),
  );

  it(
    "settings make a token that works, keep theme and language, and limit the rates",
    watched(async () => {
      const bob = scene.user("bob");
      const { page } = await browser.enter(bob);
      const settings = (name: string) => page.getByRole("link", { name, exact: true });
      await page
        .getByRole("navigation", { name: "Main" })
        .first()
        .getByRole("link", { name: "Settings" })
        .click();
      await settings("Access").click();
      await page.getByRole("button", { name: "New token" }).click();
      await page.getByLabel("Name").fill("status-board");
      await page.getByRole("button", { name: "Create token" }).click();
      await page.getByText("status-board").first().waitFor();
      const secret = await page.locator("code.secret").first().innerText();
      const answer = await fetch(new URL("/api/v1/status", page.url()), {
        headers: { authorization: `Bearer ${secret}` },
      });
      assert.equal(answer.status, 200);
      await page.getByRole("button", { name: "Revoke status-board" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
      await page.getByText("status-board is revoked.").first().waitFor();

      await settings("Speed").click();
      const down = page.getByLabel("Down", { exact: true }).first();
      await down.fill("3");
      await down.blur();
      await until(
        async () => (await bob.api.call("limits", {})).all.down === 3_000_000,
        "the limit to be set",
      );

      await settings("Look and keys").click();
      await page.getByRole("radio", { name: "Dark" }).check();
      await page.getByLabel("Language").selectOption("de");
      await page.getByRole("link", { name: "Übertragungen" }).first().waitFor();
      await page.reload();
      await page.getByRole("link", { name: "Übertragungen" }).first().waitFor();
      assert.match(
        String(
          await page.evaluate(
            "getComputedStyle(document.body).colorScheme + getComputedStyle(document.documentElement).colorScheme",
          ),
        ),
        /dark/,
      );
      assert.equal(await page.evaluate("document.documentElement.lang"), "de");
    }),
  );
});
