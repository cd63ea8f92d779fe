// The part file: how it is made, found again and moved, and what happens until it has its name for good.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { mkdir, open, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { type TestContext, test } from "node:test";
import { changeOf, factsOf, fileIdOf } from "../../../src/storage/file-facts.ts";
import {
  movePart,
  openPart,
  openPartAgain,
  type PartFileOptions,
  removeUnnamed,
  takeName,
  unnamedPathOf,
} from "../../../src/storage/part-file.ts";
import { pretendRoom, systemError, type WatchedFiles, watchFiles } from "./watched-files.ts";
import { folderFor, openCount, withCode } from "./workplace.ts";

const isLinux = process.platform === "linux";
const MIB = 1024 * 1024;
/** What a file system without hard links says to a new link. */
const NO_LINKS = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"];

interface Place {
  readonly folder: string;
  readonly partPath: string;
  readonly path: string;
}

async function placeFor(t: TestContext): Promise<Place> {
  const folder = await folderFor(t);
  return { folder, partPath: join(folder, "film.part"), path: join(folder, "film") };
}

/** A part file with that content, open, as `takeName` gets it. */
async function verifiedPart(t: TestContext, { partPath, path }: Place) {
  await writeFile(partPath, "verified");
  const handle = await open(partPath, "r+");
  t.after(() => handle.close());
  return { handle, naming: { partPath, destinationPath: path, change: await changeOf(handle) } };
}

/** What it comes to, once it is over: no call to the file system runs on then. */
async function over<T>(watched: WatchedFiles, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } finally {
    assert.equal(watched.running, 0, "a call to the file system runs on");
  }
}

// Names

test("a file gets its name when its bytes are on the disk, and has it for good when the folder is", async (t) => {
  const place = await placeFor(t);
  const watched = watchFiles(t);
  const { handle, naming } = await verifiedPart(t, place);
  const before = await openCount();
  const facts = await over(watched, takeName(handle, naming));
  assert.deepEqual(watched.calls, [
    "sync film.part",
    "link film.part film",
    "unlink film.part",
    `sync ${basename(place.folder)}`,
  ]);
  assert.deepEqual(facts, factsOf(await stat(place.path)));
  assert.equal(await openCount(), before, "the folder is closed again");
  assert.deepEqual(readdirSync(place.folder), ["film"]);
});

test("a file whose bytes do not get to the disk does not get its name", async (t) => {
  const place = await placeFor(t);
  const watched = watchFiles(t);
  const { handle, naming } = await verifiedPart(t, place);
  watched.before = (call, name) => {
    if (call === "sync" && name === "film.part") throw systemError("EIO");
  };
  await assert.rejects(over(watched, takeName(handle, naming)), withCode("DISK_FAILED"));
  assert.deepEqual(readdirSync(place.folder), ["film.part"]);
});

test("a folder that cannot be synced is as safe as its file system makes it; one that fails is told", async (t) => {
  for (const [errno, isTold] of [
    ["EINVAL", false],
    ["ENOTSUP", false],
    ["EACCES", false],
    ["EISDIR", false],
    ["EIO", true],
    ["ENOSPC", true],
  ] as const) {
    await t.test(errno, async (t) => {
      const place = await placeFor(t);
      const watched = watchFiles(t);
      const { handle, naming } = await verifiedPart(t, place);
      watched.before = (call, name) => {
        if (call === "sync" && name === basename(place.folder)) throw systemError(errno);
      };
      const before = await openCount();
      const code = await takeName(handle, naming).then(
        () => undefined,
        (error) => error.code,
      );
      assert.equal(code, { EIO: "DISK_FAILED", ENOSPC: "DISK_FULL" }[errno as string]);
      assert.equal(code !== undefined, isTold);
      assert.equal(await openCount(), before, "the folder is closed again");
    });
  }
});

test("a file that is written to while it gets its name is no longer the verified one", async (t) => {
  const place = await placeFor(t);
  const watched = watchFiles(t);
  const { handle, naming } = await verifiedPart(t, place);
  watched.before = async (call) => {
    if (call === "link") await writeFile(place.partPath, "written to");
  };
  await assert.rejects(over(watched, takeName(handle, naming)), {
    code: "FILE_CHANGED",
    message: /film was.*|wrote to .*film /,
  });
});

test("a file is not named while another has its part file's name, or nobody", async (t) => {
  for (const replacement of ["another file", undefined]) {
    await t.test(replacement ?? "nobody", async (t) => {
      const place = await placeFor(t);
      const { handle } = await verifiedPart(t, place);
      await rename(place.partPath, join(place.folder, "moved"));
      if (replacement !== undefined) await writeFile(place.partPath, replacement);
      const naming = {
        partPath: place.partPath,
        destinationPath: place.path,
        change: await changeOf(handle),
      };
      await assert.rejects(takeName(handle, naming), withCode("FILE_CHANGED"));
      assert.equal(readdirSync(place.folder).includes("film"), false);
    });
  }
});

test("a file that has its name already, and no other, is as it should be: a crash came after both", async (t) => {
  const place = await placeFor(t);
  const { handle } = await verifiedPart(t, place);
  await rename(place.partPath, place.path);
  const naming = { partPath: place.partPath, destinationPath: place.path, change: await changeOf(handle) };
  assert.deepEqual(await takeName(handle, naming), factsOf(await stat(place.path)));
});

test("a name that another file has is not taken, with links or without", async (t) => {
  for (const errno of [undefined, "EPERM"]) {
    await t.test(errno ?? "with links", async (t) => {
      const place = await placeFor(t);
      const watched = watchFiles(t);
      const { handle, naming } = await verifiedPart(t, place);
      await writeFile(place.path, "precious");
      watched.before = (call) => {
        if (call === "link" && errno !== undefined) throw systemError(errno);
      };
      await assert.rejects(over(watched, takeName(handle, naming)), {
        code: "FILE_EXISTS",
        message: /film is there already/,
      });
      assert.equal(await readFile(place.path, "utf8"), "precious");
      assert.equal(await readFile(place.partPath, "utf8"), "verified");
    });
  }
});

for (const errno of NO_LINKS) {
  test(`where links are refused with ${errno} the name is claimed, then taken by renaming`, async (t) => {
    const place = await placeFor(t);
    const watched = watchFiles(t);
    const { handle, naming } = await verifiedPart(t, place);
    watched.before = (call) => {
      if (call === "link") throw systemError(errno);
    };
    const before = await openCount();
    await over(watched, takeName(handle, naming));
    assert.ok(watched.calls.includes("rename film.part film"), String(watched.calls));
    assert.equal(await readFile(place.path, "utf8"), "verified");
    assert.deepEqual(readdirSync(place.folder), ["film"]);
    assert.equal(await openCount(), before);
  });
}

test("a link that fails for another reason is told, whoever has the name, and nothing is renamed", async (t) => {
  for (const there of [[], ["film"]]) {
    await t.test(there.length === 0 ? "nobody" : "another file", async (t) => {
      const place = await placeFor(t);
      const watched = watchFiles(t);
      const { handle, naming } = await verifiedPart(t, place);
      for (const name of there) await writeFile(join(place.folder, name), "precious");
      watched.before = (call) => {
        if (call === "link") throw systemError("ENOSPC");
      };
      await assert.rejects(over(watched, takeName(handle, naming)), withCode("DISK_FULL"));
      assert.deepEqual(readdirSync(place.folder).sort(), [...there, "film.part"]);
    });
  }
});

test("a claim is removed when the renaming fails, unless it is no longer the empty file that was made", async (t) => {
  for (const [what, spoil, isLeft] of [
    ["as it was made", async () => undefined, false],
    ["written to meanwhile", (path: string) => writeFile(path, "precious"), true],
    [
      "replaced meanwhile",
      async (path: string) => {
        await writeFile(`${path}-other`, "");
        await rename(`${path}-other`, path);
      },
      true,
    ],
    ["gone", (path: string) => rm(path), false],
  ] as const) {
    await t.test(what, async (t) => {
      const place = await placeFor(t);
      const watched = watchFiles(t);
      const { handle, naming } = await verifiedPart(t, place);
      let isSpoiled = false;
      watched.before = async (call, from) => {
        if (call === "link") throw systemError("EPERM");
        if (call !== "rename" || from !== "film.part" || isSpoiled) return;
        isSpoiled = true;
        await spoil(place.path);
        throw systemError("EIO");
      };
      await assert.rejects(over(watched, takeName(handle, naming)), withCode("DISK_FAILED"));
      assert.equal(readdirSync(place.folder).includes("film"), isLeft);
    });
  }
});

// Making and finding

const optionsFor = ({ partPath }: Place, options: Partial<PartFileOptions> = {}): PartFileOptions => ({
  path: partPath,
  lengthBytes: MIB,
  isOwn: false,
  missingBytes: MIB,
  ...options,
});

async function opened(t: TestContext, options: PartFileOptions) {
  const part = await openPart(options);
  t.after(() => part.handle.close());
  return part;
}

test("a new part file has its full length, takes no room, and is told of before it has its name", async (t) => {
  const place = await placeFor(t);
  const watched = watchFiles(t);
  const unnamedPath = join(place.folder, ".mine");
  let made: unknown;
  const part = await opened(
    t,
    optionsFor(place, {
      unnamedPath,
      onMade: (told) => {
        made = told;
        watched.calls.push("(told)");
        assert.deepEqual(readdirSync(place.folder), [".mine"]);
      },
    }),
  );
  const stats = await stat(place.partPath);
  assert.deepEqual([stats.size, stats.blocks], [MIB, 0]);
  assert.equal(part.found, undefined);
  assert.deepEqual(part.facts, factsOf(stats));
  assert.equal(part.fileId, fileIdOf(await stat(place.partPath, { bigint: true })));
  assert.deepEqual(made, { facts: part.facts, fileId: part.fileId });
  assert.deepEqual(watched.calls, ["(told)", "link .mine film.part", "unlink .mine"]);
  assert.deepEqual(readdirSync(place.folder), ["film.part"]);
});

test("a temporary name lies beside the part file, and is not taken from somebody else", async (t) => {
  const place = await placeFor(t);
  assert.equal(unnamedPathOf("/films/film.part", "token"), "/films/.token.minitorrent-new");
  const unnamedPath = join(place.folder, ".theirs");
  await writeFile(unnamedPath, "precious");
  await assert.rejects(openPart(optionsFor(place, { unnamedPath })), withCode("DESTINATION_UNUSABLE"));
  assert.equal(readdirSync(place.folder).includes("film.part"), false);
});

test("a part file that cannot be made leaves nothing behind, in the folder or open", async (t) => {
  const place = await placeFor(t);
  const before = await openCount();
  const onMade = (): never => {
    throw new Error("not noted");
  };
  await assert.rejects(openPart(optionsFor(place, { onMade })), withCode("DISK_FAILED"));
  assert.deepEqual(readdirSync(place.folder), []);
  assert.equal(await openCount(), before);
});

test("an own part file is found again as it was left, and has its full length then", async (t) => {
  const place = await placeFor(t);
  await writeFile(place.partPath, "begun");
  const before = factsOf(await stat(place.partPath));
  const ownFileId = fileIdOf(await stat(place.partPath, { bigint: true }));
  const part = await opened(t, optionsFor(place, { isOwn: true, ownFileId }));
  assert.deepEqual(part.found, before);
  assert.deepEqual(part.facts, factsOf(await stat(place.partPath)));
  assert.deepEqual([part.facts.lengthBytes, part.fileId], [MIB, ownFileId]);
  assert.equal((await readFile(place.partPath, "utf8")).startsWith("begun"), true);
});

test("an own part file of the right length is not touched", async (t) => {
  const place = await placeFor(t);
  await writeFile(place.partPath, "");
  const handle = await open(place.partPath, "r+");
  await handle.truncate(MIB);
  const change = await changeOf(handle);
  const part = await opened(t, optionsFor(place, { isOwn: true }));
  assert.equal(await changeOf(part.handle), change);
  await handle.close();
});

test("an own part file that is no longer there is made anew", async (t) => {
  const place = await placeFor(t);
  const part = await opened(t, optionsFor(place, { isOwn: true }));
  assert.equal(part.found, undefined);
  assert.deepEqual(readdirSync(place.folder), ["film.part"]);
});

test("what has an own part file's name and is another file, or none, is not touched and not kept open", {
  skip: !isLinux,
}, async (t) => {
  const place = await placeFor(t);
  const isOwn = true;
  await writeFile(place.partPath, "precious");
  const before = await openCount();
  await assert.rejects(openPart(optionsFor(place, { isOwn, ownFileId: "1:2:3" })), withCode("FILE_CHANGED"));
  assert.equal(await readFile(place.partPath, "utf8"), "precious");
  await rm(place.partPath);
  execFileSync("mkfifo", [place.partPath]);
  await assert.rejects(openPart(optionsFor(place, { isOwn })), {
    code: "DESTINATION_UNUSABLE",
    message: /is not a regular file: remove it/,
  });
  await rm(place.partPath);
  await mkdir(place.partPath);
  await assert.rejects(openPart(optionsFor(place, { isOwn })), withCode("DESTINATION_UNUSABLE"));
  assert.equal(await openCount(), before);
});

// Room

test("room that other downloads were promised is not promised again", async (t) => {
  const place = await placeFor(t);
  const room = { bytes: 3 * MIB };
  pretendRoom(t, room);
  const options = optionsFor(place, { promisedBytes: 2 * MIB });
  room.bytes = 3 * MIB - 1;
  await assert.rejects(openPart(options), {
    code: "DISK_FULL",
    message: /besides 2.1 MB for other downloads/,
  });
  assert.deepEqual(readdirSync(place.folder), []);
  room.bytes = 3 * MIB;
  await opened(t, options);
});

test("without other downloads the disk may be filled to the last byte", async (t) => {
  const place = await placeFor(t);
  const room = { bytes: MIB - 1 };
  pretendRoom(t, room);
  await assert.rejects(openPart(optionsFor(place)), { code: "DISK_FULL", message: /needed: free 1 B/ });
  room.bytes = MIB;
  await opened(t, optionsFor(place));
});

test("only what is missing and takes no room yet is asked of the disk", async (t) => {
  const place = await placeFor(t);
  const room = { bytes: 1000 };
  pretendRoom(t, room);
  // Half of it is there, as the profile says.
  await opened(t, optionsFor(place, { missingBytes: 1000 }));
  await rm(place.partPath);
  // All of it takes room already, whatever is missing.
  await writeFile(place.partPath, Buffer.alloc(MIB, 1));
  room.bytes = 0;
  const full = await opened(t, optionsFor(place, { isOwn: true, promisedBytes: MIB }));
  await full.handle.close();
  await writeFile(place.partPath, Buffer.alloc(MIB / 2, 1));
  room.bytes = MIB / 2 - 8192;
  await assert.rejects(openPart(optionsFor(place, { isOwn: true })), withCode("DISK_FULL"));
  room.bytes = MIB / 2;
  const half = await opened(t, optionsFor(place, { isOwn: true }));
  assert.equal(half.facts.lengthBytes, MIB);
});

// Again, moved, removed

test("a part file is opened again only if it is the same file; another one is closed again", async (t) => {
  const place = await placeFor(t);
  await writeFile(place.partPath, "mine");
  const fileId = fileIdOf(await stat(place.partPath, { bigint: true }));
  const handle = await openPartAgain(place.partPath, fileId);
  await handle.write("MINE", 0);
  await handle.close();
  const before = await openCount();
  await rename(place.partPath, join(place.folder, "moved"));
  const replacements: Record<string, () => Promise<unknown>> = {
    nobody: async () => undefined,
    "another file": () => writeFile(place.partPath, "precious"),
    "a link to it": () => symlink(join(place.folder, "moved"), place.partPath),
    "a folder": () => mkdir(place.partPath),
  };
  for (const [what, replace] of Object.entries(replacements)) {
    await replace();
    await assert.rejects(openPartAgain(place.partPath, fileId), withCode("FILE_CHANGED"), what);
    await rm(place.partPath, { recursive: true, force: true });
  }
  assert.equal(await openCount(), before);
  const watched = watchFiles(t);
  watched.before = (call) => {
    if (call === "open") throw systemError("EACCES");
  };
  await assert.rejects(openPartAgain(place.partPath, fileId), withCode("DESTINATION_UNUSABLE"));
});

test("a part file moves to another file system as a copy, and the old one goes when the copy has its name", async (t) => {
  const place = await placeFor(t);
  const watched = watchFiles(t);
  const other = join(place.folder, "other.part");
  await writeFile(place.partPath, "mine");
  watched.before = (call, from) => {
    if (call === "link" && from === "film.part") throw systemError("EXDEV");
  };
  await over(watched, movePart(place.partPath, other));
  assert.deepEqual(readdirSync(place.folder), ["other.part"]);
  assert.equal(await readFile(other, "utf8"), "mine");
  assert.equal(watched.calls.at(-1), "unlink film.part");
});

test("a copy to another file system that cannot get its name leaves both files as they were", async (t) => {
  const place = await placeFor(t);
  const watched = watchFiles(t);
  const other = join(place.folder, "other.part");
  await writeFile(place.partPath, "mine");
  watched.before = async (call, from) => {
    if (call !== "link") return;
    if (from === "film.part") throw systemError("EXDEV");
    await writeFile(other, "precious");
  };
  await assert.rejects(over(watched, movePart(place.partPath, other)), withCode("FILE_EXISTS"));
  assert.deepEqual(readdirSync(place.folder).sort(), ["film.part", "other.part"]);
  assert.equal(await readFile(other, "utf8"), "precious");
});

test("a part file that cannot be moved stays, and is not copied", async (t) => {
  const place = await placeFor(t);
  const watched = watchFiles(t);
  await writeFile(place.partPath, "mine");
  watched.before = (call) => {
    if (call === "link") throw systemError("EROFS");
  };
  await assert.rejects(over(watched, movePart(place.partPath, join(place.folder, "other.part"))), {
    code: "DESTINATION_UNUSABLE",
    message: /other\.part/,
  });
  assert.deepEqual(readdirSync(place.folder), ["film.part"]);
  assert.deepEqual(watched.calls, ["link film.part other.part"]);
});

test("a copy whose old file cannot be removed is told of", async (t) => {
  const place = await placeFor(t);
  const watched = watchFiles(t);
  await writeFile(place.partPath, "mine");
  watched.before = (call, from) => {
    if (call === "link" && from === "film.part") throw systemError("EXDEV");
    if (call === "unlink" && from === "film.part") throw systemError("EIO");
  };
  const moved = movePart(place.partPath, join(place.folder, "other.part"));
  await assert.rejects(over(watched, moved), { code: "DISK_FAILED", message: /film\.part/ });
});

test("a part file that is made or refused leaves no call running", async (t) => {
  const place = await placeFor(t);
  const watched = watchFiles(t);
  const part = await over(watched, openPart(optionsFor(place)));
  await part.handle.close();
  await assert.rejects(over(watched, openPart(optionsFor(place))), withCode("FILE_EXISTS"));
  await assert.rejects(
    over(watched, openPart(optionsFor(place, { isOwn: true, ownFileId: "1:2:3" }))),
    withCode("FILE_CHANGED"),
  );
  await assert.rejects(over(watched, openPartAgain(place.partPath, "1:2:3")), withCode("FILE_CHANGED"));
  await rm(place.partPath);
  const onMade = (): never => {
    throw new Error("not noted");
  };
  await assert.rejects(over(watched, openPart(optionsFor(place, { onMade }))), withCode("DISK_FAILED"));
  await over(watched, removeUnnamed(join(place.folder, ".none")));
});

test("what a crash left of the making is removed, file or folder; nothing there is fine", async (t) => {
  const place = await placeFor(t);
  const unnamedPath = join(place.folder, ".left");
  await writeFile(unnamedPath, "");
  await removeUnnamed(unnamedPath);
  assert.deepEqual(readdirSync(place.folder), []);
  await removeUnnamed(unnamedPath);
  await mkdir(unnamedPath);
  await removeUnnamed(unnamedPath);
  assert.deepEqual(readdirSync(place.folder), []);
  await writeFile(unnamedPath, "");
  await assert.rejects(removeUnnamed(join(unnamedPath, "inside")), withCode("DESTINATION_UNUSABLE"));
});
