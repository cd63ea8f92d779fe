// A file that jobs use at once: what may begin, when it is closed, and that it is the same one when it is opened again.
import assert from "node:assert/strict";
import { type FileHandle, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { OpenFiles } from "../../../src/storage/open-files.ts";
import { RefCountedFile } from "../../../src/storage/ref-counted-file.ts";
import { folderFor, withCode } from "./workplace.ts";

async function heldFor(t: TestContext, files = new OpenFiles(), name = "film"): Promise<RefCountedFile> {
  const path = join(await folderFor(t), name);
  await writeFile(path, name);
  return new RefCountedFile(files, await files.openInPlace(() => open(path)), path, open);
}

test("a file is closed when the last job is over, also one whose caller throws, and takes none before that", async (t) => {
  const files = new OpenFiles();
  const file = await heldFor(t, files);
  file.begin();
  file.begin();
  const closed = file.close();
  assert.throws(() =>
    file.end(() => {
      throw new Error("of the caller");
    }),
  );
  assert.match(file.refusal?.message ?? "", /film is closed/);
  await assert.rejects(
    file.whileHeld(async () => assert.fail("it began")),
    withCode("INTERNAL"),
  );
  // A job that runs may use the file to its end.
  assert.equal(await file.whileOpen((handle) => handle.readFile("utf8")), "film");
  assert.equal(files.taken, 1);
  file.end(() => assert.equal(files.taken, 1));
  await closed;
  assert.equal(files.taken, 0);
});

test("what the system refuses a job is an error of ours; the file can be closed after it", async (t) => {
  const file = await heldFor(t);
  await assert.rejects(
    file.whileOpen((handle) => handle.write("it was opened to read only")),
    withCode("DISK_FAILED"),
  );
  await file.close();
});

test("many files in few places are all read; the least recently used are closed, and none that is in use", async (t) => {
  const files = new OpenFiles(3);
  const all: RefCountedFile[] = [];
  for (let i = 0; i < 20; i++) all.push(await heldFor(t, files, `film-${i}`));
  const inUse = new Set<FileHandle>();
  let most = 0;
  const reads = Array.from({ length: 200 }, (_, i) => all[(i * 7) % all.length]).map((file) =>
    file?.whileOpen(async (handle, path) => {
      inUse.add(handle);
      most = Math.max(most, inUse.size);
      // Closed, it would say EBADF.
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(10), 0, 10, 0);
      await handle.stat();
      inUse.delete(handle);
      assert.ok(path.endsWith(buffer.toString("utf8", 0, bytesRead)));
    }),
  );
  await Promise.all(reads);
  assert.equal(most, 3);
  // Two, if the last close was begun for a use that found its file open.
  assert.ok(files.taken <= 3, `${files.taken} places are taken`);
  const [first, second] = all.slice(-2);
  assert.ok(first && second);
  await first.whileOpen(async () => undefined);
  await second.whileOpen(async () => undefined);
  let opened = 0;
  const other = new RefCountedFile(files, await files.openInPlace(() => open(first.path)), first.path, () => {
    opened++;
    return open(first.path);
  });
  // The two that were used last are open still, so that this closes nothing.
  await first.whileOpen(async () => undefined);
  await other.whileOpen(async () => undefined);
  assert.equal(opened, 0);
  await Promise.all([...all, other].map((file) => file.close()));
  assert.equal(files.taken, 0);
});

test("a file in use stays open although others wait, each of its uses; then it gives way", async (t) => {
  const files = new OpenFiles(1);
  const [film, other] = [await heldFor(t, files), await heldFor(t, new OpenFiles(), "other")];
  await other.close();
  const waiting = new RefCountedFile(files, await open(film.path), film.path, open);
  // It has no place: it is opened again when it is used.
  await waiting.closeHandle();
  files.keep(waiting);
  const ends = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const uses = ends.map(({ promise }) =>
    film.whileOpen(async (handle) => {
      await promise;
      return (await handle.stat()).size;
    }),
  );
  let isUsed = false;
  const used = waiting.whileOpen(async () => {
    isUsed = true;
  });
  for (const [at, end] of ends.entries()) {
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isUsed, false, `${2 - at} uses are under way`);
    end.resolve();
    assert.equal(await uses[at], 4);
  }
  await used;
  assert.equal(files.taken, 1);
  await Promise.all([film.close(), waiting.close()]);
  assert.equal(files.taken, 0);
});

test("a job that begins with a closed file is refused, and a use that fails ends", async (t) => {
  const files = new OpenFiles(1);
  const file = await heldFor(t, files);
  await assert.rejects(
    file.whileOpen(async () => {
      throw new Error("of the caller");
    }),
    /of the caller/,
  );
  assert.deepEqual(await file.inRange(7, async ({ positionBytes, path }) => [positionBytes, path]), [
    7,
    file.path,
  ]);
  file.renamed("/elsewhere/film");
  assert.equal(await file.whileOpen(async (_, path) => path), "/elsewhere/film");
  await file.close();
  assert.equal(files.taken, 0);
  assert.match(file.refusal?.message ?? "", /\/elsewhere\/film is closed/);
});

test("a file that was closed has no place to give to one that waits", async (t) => {
  const files = new OpenFiles(1);
  const gone = await heldFor(t, files);
  await gone.close();
  const [busy, other] = [await heldFor(t, files, "busy"), await heldFor(t, files, "other")];
  const end = Promise.withResolvers<void>();
  const order: string[] = [];
  const use = busy.whileOpen(() => end.promise);
  const used = other.whileOpen(async () => void order.push("other"));
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  order.push("busy is over");
  end.resolve();
  await Promise.all([use, used]);
  assert.deepEqual(order, ["busy is over", "other"]);
  await Promise.all([busy.close(), other.close()]);
});

test("a file that is always in use gives way to one that waits", async (t) => {
  const files = new OpenFiles(1);
  const [busy, other] = [await heldFor(t, files), await heldFor(t, files, "other")];
  let isStopped = false;
  const useOn = async (): Promise<void> => {
    while (!isStopped) await busy.whileOpen((handle) => handle.stat());
  };
  // One of the two uses it at any moment.
  const uses = [useOn(), useOn()];
  assert.equal(await other.whileOpen((handle) => handle.readFile("utf8")), "other");
  isStopped = true;
  await Promise.all(uses);
  await Promise.all([busy.close(), other.close()]);
});

test("a file that cannot be opened again gives its place back, and is tried anew by the next use", async (t) => {
  const files = new OpenFiles(1);
  const path = join(await folderFor(t), "film");
  await writeFile(path, "film");
  let isGone = true;
  const file = new RefCountedFile(files, await files.openInPlace(() => open(path)), path, () =>
    open(isGone ? `${path}.gone` : path),
  );
  const other = await heldFor(t, files, "other");
  const uses = await Promise.allSettled([1, 2].map(() => file.whileOpen((handle) => handle.stat())));
  for (const use of uses) assert.ok(use.status === "rejected" && withCode("FILE_NOT_FOUND")(use.reason));
  assert.equal(files.taken, 0);
  isGone = false;
  assert.equal(await file.whileOpen((handle) => handle.readFile("utf8")), "film");
  assert.equal(await other.whileOpen((handle) => handle.readFile("utf8")), "other");
  await Promise.all([file.close(), other.close()]);
});

test("for want of a descriptor idle files are closed, and the opening is tried again", async (t) => {
  const files = new OpenFiles();
  const file = await heldFor(t, files);
  let attempts = 0;
  const opened = await files.openInPlace(() => {
    attempts++;
    if (attempts < 3) throw Object.assign(new Error("too many open files"), { code: "EMFILE" });
    return open(file.path);
  });
  assert.equal(attempts, 3);
  assert.equal(files.taken, 1);
  await opened.close();
  files.givePlace();
  await file.close();
});

test("long work leaves places to the rest", async () => {
  const files = new OpenFiles(4);
  const ends: (() => void)[] = [];
  const long = [1, 2].map(() => files.whileLong(() => new Promise<void>((resolve) => ends.push(resolve))));
  await files.openInPlace(async () => undefined);
  assert.equal(files.taken, 2);
  assert.equal(ends.length, 1);
  ends[0]?.();
  await long[0];
  await files.openInPlace(async () => undefined);
  ends[1]?.();
  await long[1];
  assert.equal(files.taken, 2);
});
