// An open file and the jobs that use it: what may begin, and when it is closed.
import assert from "node:assert/strict";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { HeldFile } from "../../../src/storage/held-file.ts";
import { folderFor, withCode } from "./workplace.ts";

async function heldFor(t: TestContext): Promise<HeldFile> {
  const path = join(await folderFor(t), "film");
  await writeFile(path, "content");
  return new HeldFile(await open(path), path);
}

test("a file is closed when the last job is over, also one whose caller throws, and takes none before that", async (t) => {
  const file = await heldFor(t);
  file.begin();
  file.begin();
  const closed = file.close();
  assert.throws(() =>
    file.end(() => {
      throw new Error("of the caller");
    }),
  );
  const { fd } = file;
  assert.notEqual(fd, -1);
  assert.match(file.refusal?.message ?? "", /film is closed/);
  await assert.rejects(
    file.whileOpen(async () => assert.fail("it began")),
    withCode("INTERNAL"),
  );
  const told: number[] = [];
  file.end(() => told.push(file.fd));
  await closed;
  assert.deepEqual(told, [fd]);
  assert.equal(file.fd, -1);
});

test("what the system refuses a job is an error of ours; the file can be closed after it", async (t) => {
  const file = await heldFor(t);
  await assert.rejects(
    file.whileOpen((handle) => handle.write("it was opened to read only")),
    withCode("DISK_FAILED"),
  );
  await file.close();
});
