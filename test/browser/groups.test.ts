// How people come together on the page, share and choose, as they would with a mouse.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { Browser } from "../../harness/browser.ts";
import { DaemonScene, downloadUntil, inHome, PASSWORD } from "../../harness/daemon-scene.ts";
import { withoutChromium } from "../../harness/requirements.ts";
import { sha1Of, writeRandomFile } from "../../harness/scene.ts";

describe("coming together on the page", { skip: withoutChromium() }, () => {
  let scene: DaemonScene;
  let browser: Browser;

  before(async () => {
    [scene, browser] = await Promise.all([DaemonScene.open(1), Browser.launch()]);
    await Promise.all([scene.person("alice"), scene.person("bob"), scene.stranger("carol")]);
  });
  after(async () => {
    await browser[Symbol.asyncDispose]();
    await scene[Symbol.asyncDispose]();
  });
  const watched = (body: () => Promise<void>) => () => browser.watched(body)();

  it(
    "two people who begin with nothing but a link come to the same file",
    watched(async () => {
      const sha1 = writeRandomFile(inHome(scene.user("alice"), "film.bin"), 3_000_000);
      const [alice, bob] = await Promise.all(
        ["alice", "bob"].map(async (name) => {
          const { page } = await browser.enter(scene.user(name));
          await page.getByLabel("Name in your groups").fill(name);
          await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
          await page.getByRole("button", { name: "Create account" }).last().click();
          await page.getByRole("heading", { name: "Transfers", exact: true }).waitFor();
          return page;
        }),
      );
      assert.ok(alice && bob);
      await alice.getByRole("link", { name: "Join or create a group" }).click();
      await alice.getByRole("button", { name: "New group" }).click();
      await alice.getByRole("dialog").getByLabel("Name").fill("studio");
      await alice.getByRole("button", { name: "Create group" }).click();
      await alice.getByRole("heading", { name: "studio" }).waitFor();

      await bob.getByRole("link", { name: "Join or create a group" }).click();
      await bob.getByRole("button", { name: "Ask to join studio" }).click();
      await alice.getByRole("button", { name: "Accept bob" }).click();
      await bob.getByRole("navigation", { name: "Groups" }).getByRole("link", { name: "studio" }).click();

      await alice.getByRole("link", { name: "Share", exact: true }).last().click();
      await alice.getByRole("checkbox", { name: "Share film.bin" }).click();
      await alice.getByRole("button", { name: "Share 1 item" }).click();

      await bob.getByRole("link", { name: "Download film.bin" }).click();
      await bob.getByRole("button", { name: "Download 3 MB" }).click();
      await bob
        .getByRole("navigation", { name: "Main" })
        .first()
        .getByRole("link", { name: "Transfers" })
        .click();
      await bob.getByText("Complete and checked").waitFor();
      assert.equal(await sha1Of(inHome(scene.user("bob"), "miniTorrent", "film.bin")), sha1);
    }),
  );

  it(
    "an invite alone is enough: trackers, account and group come with it, and it works once",
    watched(async () => {
      const alice = (await browser.enter(scene.user("alice"))).page;
      await alice.getByRole("navigation", { name: "Groups" }).getByRole("link", { name: "studio" }).click();
      await alice.getByRole("button", { name: "Invite", exact: true }).click();
      await alice.getByRole("button", { name: "Create invite" }).click();
      const invite = await alice.getByRole("textbox", { name: "Invite" }).inputValue();
      assert.match(invite, /^minitorrent:/);
      await alice.getByRole("img", { name: "QR code of the invite to studio" }).waitFor();
      await alice.getByRole("button", { name: "Done" }).click();

      const carol = (await browser.enter(scene.user("carol"))).page;
      await carol.getByLabel("Invite, or addresses of trackers").fill(`Here it is: ${invite}`);
      await carol.getByLabel("Name in your groups").fill("carol");
      await carol.getByLabel("Password", { exact: true }).fill(PASSWORD);
      await carol.getByRole("button", { name: "Create account and join studio" }).click();
      await carol.getByRole("heading", { name: "studio" }).waitFor();
      await carol.getByText("film.bin").first().waitFor();

      await alice.getByRole("link", { name: "Invites" }).click();
      await alice.getByText("used by carol").waitFor();
      await alice.getByRole("link", { name: "Activity", exact: true }).click();
      await alice.getByText("carol joined").first().waitFor();
      const { trackers } = await scene.user("carol").api.call("readInvite", { invite });
      assert.deepEqual(
        trackers.map(({ address }) => address),
        scene.scene.trackerAddresses,
      );
    }),
  );

  it(
    "one takes a part of a folder, and another part while it downloads",
    watched(async () => {
      const [alice, bob] = [scene.user("alice"), scene.user("bob")];
      for (const part of ["raw", "best"]) {
        mkdirSync(inHome(alice, "holiday", part), { recursive: true });
        for (const number of [1, 2, 3]) {
          writeRandomFile(inHome(alice, "holiday", part, `${part}-${number}.bin`), 400_000);
        }
      }
      await alice.api.call("uploadFile", { groupId: "studio", path: inHome(alice, "holiday") });
      await bob.api.call("limit", { direction: "down", bytesPerSecond: 100_000 });
      const { page } = await browser.enter(bob);
      await page.getByRole("navigation", { name: "Groups" }).getByRole("link", { name: "studio" }).click();
      await page.getByRole("link", { name: "Download holiday" }).click();
      const tree = page.getByRole("tree", { name: "Files of holiday" });
      await tree.getByRole("treeitem", { name: /^best/, checked: true }).waitFor();
      await page.getByRole("button", { name: "None", exact: true }).click();
      await tree.getByRole("treeitem", { name: /^best/, checked: false }).click();
      await page.getByText("3 of 6 files").waitFor();
      await page.getByRole("button", { name: /^Download 1.2 MB/ }).click();
      await page.getByRole("button", { name: "Show" }).click();
      await page.getByRole("link", { name: "Choose files" }).first().click();
      await tree.getByRole("treeitem", { name: /^raw/, checked: false }).click();
      await page.getByRole("button", { name: /^Take 2.4 MB/ }).click();
      await bob.api.call("limit", { direction: "down", bytesPerSecond: null });
      await downloadUntil(
        bob,
        { groupId: "studio", fileName: "holiday" },
        ({ state }) => state === "complete",
      );
      for (const path of ["raw/raw-1.bin", "best/best-3.bin"]) {
        assert.equal(
          await sha1Of(inHome(bob, "miniTorrent", "holiday", path)),
          await sha1Of(inHome(alice, "holiday", path)),
        );
      }
    }),
  );

  it(
    "files and a folder that are dropped on the page are copied to the daemon and shared",
    watched(async () => {
      const alice = scene.user("alice");
      const outside = scene.scene.path("outside");
      mkdirSync(`${outside}/plans/old`, { recursive: true });
      writeFileSync(`${outside}/plans/old/a.txt`, "first");
      writeFileSync(`${outside}/notes.txt`, "dropped");
      const opened = await browser.enter(alice);
      const { page } = opened;
      await page.getByRole("navigation", { name: "Groups" }).getByRole("link", { name: "studio" }).click();
      await page.getByRole("heading", { name: "studio" }).waitFor();
      await opened.drop(`${outside}/notes.txt`, `${outside}/plans`);
      await page.getByRole("button", { name: "Share 2 items" }).click();
      await page.getByText("plans is shared with studio.").first().waitFor();
      await page.getByText("notes.txt is shared with studio.").first().waitFor();
      const shares = await alice.api.call("shares", {});
      const pathOf = (name: string) => shares.find(({ fileName }) => fileName === name)?.path ?? "";
      assert.equal(readFileSync(pathOf("notes.txt"), "utf8"), "dropped");
      assert.equal(readFileSync(`${pathOf("plans")}/old/a.txt`, "utf8"), "first");
    }),
  );

  it(
    "a link lets one browser in, once",
    watched(async () => {
      const { url } = await scene.user("alice").api.call("createLink", {});
      const first = (await browser.open(url)).page;
      await first.getByRole("heading", { name: "Transfers", exact: true }).waitFor();
      const second = (await browser.open(url)).page;
      await second.getByText("This link does not count any more").waitFor();
      await first.reload();
      await first.getByRole("heading", { name: "Transfers", exact: true }).waitFor();
    }),
  );
});
