// Files of shares over HTTP, from real daemons: what is shared here, what downloads now, and files in folders.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { DaemonScene, downloadOf, downloadUntil, inHome } from "../../harness/daemon-scene.ts";
import type { DaemonUser } from "../../harness/daemons.ts";
import { writeRandomFile } from "../../harness/scene.ts";

const FILM_BYTES = 24_000_000;
const ANY_PORT = "127.0.0.1:0";
const TAIL_BYTES = 200_000;
const FILM = { groupId: "films", fileName: "dune.mp4" };
const EXTRAS = { groupId: "films", fileName: "extras" };

describe("content of shares over HTTP", () => {
  let scene: DaemonScene;
  let ann: DaemonUser;
  let bob: DaemonUser;
  /** Of each person: their API over TCP. */
  const origins = new Map<DaemonUser, string>();

  before(async () => {
    scene = await DaemonScene.open(1);
    [ann, bob] = [await scene.member("ann", "--web", ANY_PORT), await scene.member("bob", "--web", ANY_PORT)];
    for (const user of [ann, bob])
      origins.set(user, new URL((await user.api.call("createLink", {})).url).origin);
    await scene.group("films", "ann", "bob");
    writeRandomFile(inHome(ann, FILM.fileName), FILM_BYTES);
    mkdirSync(inHome(ann, "extras", "cut"), { recursive: true });
    writeRandomFile(inHome(ann, "extras", "cut", "a.bin"), 3_000_000);
    writeFileSync(inHome(ann, "extras", "notes.txt"), "spice");
    for (const fileName of [FILM.fileName, "extras"])
      await ann.api.call("uploadFile", { groupId: "films", path: inHome(ann, fileName) });
  });
  after(() => scene[Symbol.asyncDispose]());

  async function read(
    user: DaemonUser,
    file: { groupId: string; fileName: string; path?: string },
    range?: string,
  ): Promise<{ status: number; bytes: Buffer; headers: Headers }> {
    const { url } = await user.api.call("contentTicket", file);
    const response = await fetch(`${origins.get(user)}${url}`, { headers: { ...(range && { range }) } });
    return {
      ...{ status: response.status, headers: response.headers },
      bytes: Buffer.from(await response.arrayBuffer()),
    };
  }

  it("a member reads what they share, a file and one in a folder", async () => {
    const film = readFileSync(inHome(ann, FILM.fileName));
    const whole = await read(ann, FILM);
    assert.deepEqual([whole.status, whole.headers.get("content-type")], [200, "video/mp4"]);
    assert.ok(whole.bytes.equals(film));
    const part = await read(ann, FILM, "bytes=1000000-1300000");
    assert.ok(part.status === 206 && part.bytes.equals(film.subarray(1_000_000, 1_300_001)));
    const notes = await read(ann, { ...EXTRAS, path: "notes.txt" });
    assert.equal(notes.bytes.toString(), "spice");
    const inside = await read(ann, { ...EXTRAS, path: "cut/a.bin" }, "bytes=-7");
    assert.ok(inside.bytes.equals(readFileSync(inHome(ann, "extras", "cut", "a.bin")).subarray(-7)));
    assert.notEqual(notes.headers.get("etag"), inside.headers.get("etag"));
  });

  it("what cannot be read is told when a ticket is asked for", async () => {
    for (const [file, code] of [
      [{ groupId: "films", fileName: "nothing" }, "UNKNOWN_DOWNLOAD"],
      [{ ...EXTRAS, path: "no-such" }, "UNKNOWN_FILE"],
      [{ ...EXTRAS, path: "../dune.mp4" }, "UNKNOWN_FILE"],
      [{ ...FILM, path: "x" }, "INVALID_ARGUMENT"],
    ] as const) {
      await assert.rejects(ann.api.call("contentTicket", file), { code });
    }
  });

  it("the end of a file is here long before the rest, when it is read while it downloads", async () => {
    await bob.api.call("limit", { direction: "down", bytesPerSecond: 2_000_000 });
    const destinationPath = inHome(bob, FILM.fileName);
    await bob.api.call("downloadFile", { ...FILM, destinationPath });
    await downloadUntil(bob, FILM, ({ state }) => state === "downloading");
    const film = readFileSync(inHome(ann, FILM.fileName));
    const tail = await read(bob, FILM, `bytes=-${TAIL_BYTES}`);
    const { bytesVerified } = await downloadOf(bob, FILM.groupId, FILM.fileName);
    assert.equal(tail.status, 206);
    assert.ok(tail.bytes.equals(film.subarray(-TAIL_BYTES)));
    assert.ok(bytesVerified < FILM_BYTES / 2, `${bytesVerified} bytes were here`);
    await bob.api.call("limit", { direction: "down", bytesPerSecond: null });
    const whole = await read(bob, FILM);
    assert.ok(whole.bytes.equals(film), "it is sent as it arrives");
    await downloadUntil(bob, FILM, ({ state }) => state === "complete");
    const later = await read(bob, FILM, "bytes=0-9");
    assert.ok(later.bytes.equals(film.subarray(0, 10)));
    assert.equal(later.headers.get("etag"), tail.headers.get("etag"), "it is the same file");
  });

  it("a file of a folder is read while the folder downloads", async () => {
    await bob.api.call("limit", { direction: "down", bytesPerSecond: 1_000_000 });
    await bob.api.call("downloadFile", { ...EXTRAS, destinationPath: inHome(bob, "extras") });
    await downloadUntil(bob, EXTRAS, ({ state }) => state === "downloading");
    const { bytes } = await read(bob, { ...EXTRAS, path: "cut/a.bin" }, "bytes=2900000-");
    assert.ok(bytes.equals(readFileSync(inHome(ann, "extras", "cut", "a.bin")).subarray(2_900_000)));
    await bob.api.call("limit", { direction: "down", bytesPerSecond: null });
  });

  it("a logout ends the addresses", async () => {
    const { url } = await bob.api.call("contentTicket", FILM);
    await bob.api.call("logout", {});
    assert.equal((await fetch(`${origins.get(bob)}${url}`)).status, 404);
  });
});
