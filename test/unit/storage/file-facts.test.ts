// Opening a file that is only read, and what tells whether it is still the same one, as it was.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import type { BigIntStats } from "node:fs";
import { open, rename, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  changeIn,
  factsOf,
  fileIdOf,
  isSameFacts,
  openRegularFile,
  openSharedAgain,
} from "../../../src/storage/file-facts.ts";
import { folderFor, openCount, withCode } from "./workplace.ts";

const isLinux = process.platform === "linux";

test("facts are the same only if length and time are", () => {
  const facts = { lengthBytes: 5, mtimeMs: 7 };
  assert.equal(isSameFacts(facts, { ...facts }), true);
  assert.equal(isSameFacts(facts, { ...facts, lengthBytes: 6 }), false);
  assert.equal(isSameFacts(facts, { ...facts, mtimeMs: 7.5 }), false);
});

test("a file is known by device, inode and birth; a change shows in length, time, or the time of the change", () => {
  const stats = { dev: 1n, ino: 2n, birthtimeNs: 3n, size: 4n, mtimeNs: 5n, ctimeNs: 6n } as BigIntStats;
  for (const part of ["dev", "ino", "birthtimeNs"]) {
    assert.notEqual(fileIdOf({ ...stats, [part]: 9n } as BigIntStats), fileIdOf(stats), part);
    assert.equal(changeIn({ ...stats, [part]: 9n } as BigIntStats), changeIn(stats));
  }
  for (const part of ["size", "mtimeNs", "ctimeNs"]) {
    assert.notEqual(changeIn({ ...stats, [part]: 9n } as BigIntStats), changeIn(stats), part);
    assert.equal(fileIdOf({ ...stats, [part]: 9n } as BigIntStats), fileIdOf(stats));
  }
});

test("a regular file is opened to be read, with its facts and what it is known by", async (t) => {
  const path = join(await folderFor(t), "film");
  await writeFile(path, "film");
  const { handle, facts, fileId } = await openRegularFile(path);
  t.after(() => handle.close());
  assert.deepEqual(facts, factsOf(await stat(path)));
  assert.equal(fileId, fileIdOf(await stat(path, { bigint: true })));
  assert.equal(await handle.readFile("utf8"), "film");
  await assert.rejects(handle.write("x"), withCode("EBADF"));
});

test("a folder, a missing file and a named pipe are refused, and nothing stays open", {
  skip: !isLinux,
}, async (t) => {
  const folder = await folderFor(t);
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  const before = await openCount();
  await assert.rejects(openRegularFile(folder), withCode("NOT_A_FILE"));
  await assert.rejects(openRegularFile(join(folder, "none")), withCode("FILE_NOT_FOUND"));
  const opening = openRegularFile(pipe);
  const first = await Promise.race([
    opening.catch((error) => error),
    sleep(5000, "it waits", { ref: false }),
  ]);
  // A writer ends the waiting.
  if (first === "it waits") await (await open(pipe, "r+")).close();
  assert.notEqual(first, "it waits", "the opening of a pipe waits for a writer");
  await assert.rejects(opening, withCode("NOT_A_FILE"));
  assert.equal(await openCount(), before);
});

test("a shared file is opened again only if it is the same file, as it was, and is closed otherwise", async (t) => {
  const folder = await folderFor(t);
  const [path, other] = [join(folder, "film"), join(folder, "other")];
  await writeFile(path, "film");
  const first = await openRegularFile(path);
  await first.handle.close();
  const again = await openSharedAgain(path, first);
  await again.close();
  const before = await openCount();
  const time = new Date(first.facts.mtimeMs);
  await utimes(path, time, new Date(first.facts.mtimeMs + 5000));
  await assert.rejects(openSharedAgain(path, first), withCode("FILE_CHANGED"));
  await truncate(path, 3);
  await assert.rejects(openSharedAgain(path, first), withCode("FILE_CHANGED"));
  const second = await openRegularFile(path);
  await second.handle.close();
  await writeFile(other, "fil");
  await utimes(other, time, new Date(second.facts.mtimeMs));
  await rename(other, path);
  await assert.rejects(
    openSharedAgain(path, { ...second, facts: factsOf(await stat(path)) }),
    withCode("FILE_CHANGED"),
    "another file with the same facts",
  );
  assert.equal(await openCount(), before);
});
