// What comes before the first request: where the part file lies, what is at the destination, what of a part file is still good.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { mkdir, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { allOf } from "../../../../src/client/downloads/chosen-files.ts";
import {
  type DownloadToOpen,
  type KnownPart,
  openDownload,
  partIdOf,
  partPathOf,
} from "../../../../src/client/downloads/download-opening.ts";
import { Bitfield } from "../../../../src/metainfo/bitfield.ts";
import { type FileFacts, factsOf } from "../../../../src/storage/file-facts.ts";
import { PieceStore } from "../../../../src/storage/piece-store.ts";
import { type Film, GROUP, leaveRoom, PIECE_BYTES, Scene } from "../download-fixture.ts";

test("a part file has the file's name and .part, or of a name too long for that a hash in the place of its end", () => {
  assert.equal(partPathOf("/a/film"), "/a/film.part");
  const fits = "x".repeat(250);
  assert.equal(partPathOf(join("/a", fits)), join("/a", `${fits}.part`));
  const long = partPathOf(join("/a", "x".repeat(251)));
  assert.match(long, /^\/a\/x+\.[0-9a-f]{16}\.part$/);
  assert.equal(Buffer.byteLength(long), "/a/".length + 255);
  assert.notEqual(long, partPathOf(join("/a", `${"x".repeat(250)}y`)), "another name has another part file");
  for (const shift of [0, 1, 2]) {
    const name = `${"x".repeat(shift)}${"\u20ac".repeat(84)}`;
    const cut = partPathOf(join("/a", name)).slice("/a/".length);
    assert.ok(Buffer.byteLength(cut) <= 255);
    assert.match(cut, /^x*\u20ac+\.[0-9a-f]{16}\.part$/, "no character is cut in the middle");
  }
});

async function opening(t: TestContext) {
  const scene = await Scene.open(t);
  const film = scene.film();
  const made: { facts: FileFacts; fileId: string; isNamed: boolean }[] = [];
  const path = scene.path("film");
  let makings = 0;
  const open = (known?: KnownPart, changes: Partial<DownloadToOpen> = {}) =>
    openDownload(scene.context, {
      ...{ groupId: GROUP, wanted: allOf(film.metainfo), destinationPath: path, known, promisedBytes: 0 },
      isUpdate: false,
      making: () => {
        makings++;
        return "token";
      },
      made: (part) => void made.push({ ...part, isNamed: existsSync(`${path}.part`) }),
      ...changes,
    });
  /** Makes the part file with those pieces, and closes it. */
  const part = async (pieces: readonly number[]): Promise<KnownPart> => {
    const opened = await open();
    assert.ok(opened.kind === "store");
    await opened.store.close();
    const bytes = new Uint8Array(film.bytes.length);
    const have = new Bitfield(film.metainfo.geometry.pieceCount);
    for (const piece of pieces) {
      const at = piece * PIECE_BYTES;
      bytes.set(film.bytes.subarray(at, at + PIECE_BYTES), at);
      have.set(piece);
    }
    await writeFile(`${path}.part`, bytes, { flag: "r+" });
    const partId = await partIdOf(`${path}.part`);
    assert.ok(partId);
    made.length = 0;
    const facts = factsOf(statSync(`${path}.part`));
    return { have, facts, partId, isFinished: false, folderFacts: undefined };
  };
  return { scene, ...film, path, open, part, made, makings: () => makings };
}

async function haveOf(opened: ReturnType<typeof openDownload>): Promise<number[]> {
  const { kind, ...rest } = await opened;
  assert.ok(kind === "store" && "store" in rest);
  await rest.store.close();
  return [0, 1, 2, 3].filter((piece) => rest.have.has(piece));
}

test("a new part file is noted before it has its name, at its full length", async (t) => {
  const { open, made, path, bytes, makings } = await opening(t);
  assert.deepEqual(await haveOf(open()), []);
  assert.equal(makings(), 1);
  assert.equal(made.length, 1);
  assert.equal(made[0]?.isNamed, false);
  assert.equal(made[0]?.fileId, await partIdOf(`${path}.part`));
  assert.equal(statSync(`${path}.part`).size, bytes.length);
});

test("remains of a file that a crash interrupted are removed", async (t) => {
  const { open, scene, path } = await opening(t);
  await scene.file(".token.minitorrent-new", new Uint8Array(3));
  assert.deepEqual(await haveOf(open()), []);
  assert.equal(existsSync(scene.path(".token.minitorrent-new")), false);
  assert.equal(existsSync(`${path}.part`), true);
});

test("a part file of another origin is neither used nor changed", async (t) => {
  const { open, part, path, scene } = await opening(t);
  await scene.file("film.part", Buffer.from("precious"));
  await assert.rejects(open(), { code: "FILE_EXISTS", message: /belongs to no known download/ });
  await rm(`${path}.part`);
  const known = await part([0]);
  await rm(`${path}.part`);
  await scene.file("film.part", Buffer.from("precious"));
  await assert.rejects(open(known), { code: "FILE_EXISTS" });
  assert.equal(readFileSync(`${path}.part`, "utf8"), "precious");
  assert.deepEqual(
    readdirSync(scene.folder).filter((name) => name.includes("minitorrent-new")),
    [],
  );
});

test("the pieces of an own part file are believed while it is as it was, and hashed otherwise", async (t) => {
  const { open, part, path, made, makings } = await opening(t);
  const known = await part([0, 2]);
  const claimed = known.have.clone();
  claimed.set(1);
  const before = makings();
  const opens = t.mock.method(PieceStore, "openForDownload");
  assert.deepEqual(await haveOf(open({ ...known, have: claimed })), [0, 1, 2], "believed, without a look");
  assert.equal(
    opens.mock.calls[0]?.arguments[0].ownFileId,
    known.partId,
    "no file that comes in between is opened",
  );
  assert.deepEqual([makings(), made], [before, []], "nothing was made");
  assert.deepEqual(await haveOf(open({ ...known, have: claimed, facts: undefined })), [0, 2], "in doubt");
  await utimes(`${path}.part`, 1, 1);
  assert.deepEqual(
    await haveOf(open({ ...known, have: new Bitfield(4) })),
    [0, 2],
    "touched: more may be there too",
  );
});

test("a part file that is gone is made anew, and nothing of it is believed", async (t) => {
  const { open, part, path, made } = await opening(t);
  const known = await part([0, 2]);
  await rm(`${path}.part`);
  assert.deepEqual(await haveOf(open(known)), []);
  assert.equal(made.length, 1);
});

test("a part file whose check fails is closed", async (t) => {
  const { open, part, scene } = await opening(t);
  const known = await part([0]);
  t.mock.method(scene.storage.disk, "hashRange", () => Promise.reject(new Error("a bad disk")));
  await assert.rejects(open({ ...known, facts: undefined }), /a bad disk/);
  assert.equal(scene.storage.files.taken, 0);
});

test("the file at the destination is the download's if it has the content, and is told as it was hashed", async (t) => {
  const { open, scene, path, bytes } = await opening(t);
  await scene.file("film", bytes);
  assert.deepEqual(await open(), { kind: "there-already", facts: factsOf(statSync(path)) });
  assert.equal(existsSync(`${path}.part`), false);
});

test("whatever else is at the destination stays, and is named", async (t) => {
  const { open, scene, path, bytes } = await opening(t);
  const other = {
    code: "FILE_EXISTS",
    message: `${path} is there already, with other content; choose another destination.`,
  };
  await scene.file("film", new Uint8Array(bytes.length));
  await assert.rejects(open(), other, "of the same length");
  await scene.file("film", bytes.subarray(1));
  const hashes = t.mock.method(scene.storage.disk, "hashRange");
  await assert.rejects(open(), other);
  assert.equal(hashes.mock.callCount(), 0, "of another length it is not even read");
  await rm(path);
  await mkdir(path);
  await assert.rejects(open(), other, "a folder");
  const { metainfo } = scene.film("film", { lengthBytes: statSync(path).size });
  await assert.rejects(open(undefined, { wanted: allOf(metainfo) }), other, "a folder of the file's size");
  await rm(path, { recursive: true });
  symlinkSync(scene.path("nowhere"), path);
  await assert.rejects(open(), {
    code: "FILE_EXISTS",
    message: /is a symbolic link to a missing file; remove it/,
  });
  await scene.file("nowhere", bytes);
  assert.equal((await open()).kind, "there-already", "a link to the content");
});

test("a destination that cannot be looked at is told before anything is made", async (t) => {
  const { open, scene, makings } = await opening(t);
  await scene.file("plain", new Uint8Array(1));
  await assert.rejects(open(undefined, { destinationPath: scene.path("plain", "film") }), {
    code: "DESTINATION_UNUSABLE",
    message: /a part of its path is no folder/,
  });
  assert.equal(makings(), 0);
  symlinkSync("loop", scene.path("loop"));
  await assert.rejects(open(undefined, { destinationPath: scene.path("loop") }), {
    code: "DESTINATION_UNUSABLE",
  });
  await assert.rejects(open(undefined, { destinationPath: scene.path("x".repeat(256)) }), {
    code: "DESTINATION_UNUSABLE",
    message: /name is too long/,
  });
});

test("a file of another group is refused before its destination is looked at", async (t) => {
  const { open, scene, path, bytes } = await opening(t);
  await scene.file("film", bytes);
  scene.memberships.authorities.set(GROUP, "-- another CA --");
  await assert.rejects(open(), {
    code: "MALFORMED_MESSAGE",
    message: /^film belongs to another group than films\.$/,
  });
  scene.memberships.authorities.delete(GROUP);
  await assert.rejects(open(), { code: "NOT_A_MEMBER" });
  assert.equal(existsSync(`${path}.part`), false);
});

test("room that is promised to others is not taken", async (t) => {
  const { open, bytes } = await opening(t);
  leaveRoom(t, bytes.length + 10);
  await assert.rejects(open(undefined, { promisedBytes: 11 }), { code: "DISK_FULL" });
  assert.deepEqual(await haveOf(open(undefined, { promisedBytes: 10 })), []);
});

test("the id of a file that is not there is none, and that of a link is its own", async (t) => {
  const { scene, bytes }: { scene: Scene } & Film = await opening(t);
  assert.equal(await partIdOf(scene.path("nothing")), undefined);
  const path = await scene.file("real", bytes);
  symlinkSync(path, scene.path("link"));
  assert.notEqual(await partIdOf(scene.path("link")), await partIdOf(path));
});
