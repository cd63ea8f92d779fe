import assert from "node:assert/strict";
import {
  appendFileSync,
  lutimesSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { changedFiles } from "../../../src/storage/folder-changes.ts";
import { hashFolder } from "../../../src/storage/hash-folder.ts";
import { withCode, workplaceFor } from "./workplace.ts";

test("files that changed, are gone or are of another kind are told, and no others", async (t) => {
  const place = await workplaceFor(t);
  const at = (name: string) => join(place.folder, name);
  mkdirSync(at("d"));
  for (let index = 0; index < 600; index++) writeFileSync(at(`d/${index + 1000}`), "x");
  symlinkSync("1000", at("d/link"));
  symlinkSync("1000", at("d/other link"));
  lutimesSync(at("d/other link"), 1000, 1000);
  utimesSync(at("d/1002"), 1000, 1000);
  utimesSync(at("d/1003"), 2000, 2000);
  const state = await hashFolder(place.folder, place);
  const { layout } = state;
  const changed = (files?: readonly number[]) => changedFiles(place.disk, place.folder, state, { files });
  assert.deepEqual(await changed(), []);

  appendFileSync(at("d/1001"), "y");
  // Another length, or another kind, with the same time.
  appendFileSync(at("d/1002"), "y");
  utimesSync(at("d/1002"), 1000, 1000);
  rmSync(at("d/1003"));
  symlinkSync("x", at("d/1003"));
  lutimesSync(at("d/1003"), 2000, 2000);
  utimesSync(at("d/1300"), 1, 1);
  rmSync(at("d/1598"));
  renameSync(at("d/1599"), at("d/moved"));
  symlinkSync("moved", at("d/1599"));
  rmSync(at("d/other link"));
  writeFileSync(at("d/other link"), "");
  utimesSync(at("d/other link"), 1000, 1000);
  assert.deepEqual(
    (await changed()).map((fileIndex) => layout.pathOf(fileIndex)),
    ["d/1001", "d/1002", "d/1003", "d/1300", "d/1598", "d/1599", "d/other link"],
  );
  assert.deepEqual(await changed([0, 1, 300, 598]), [1, 300, 598]);
  assert.deepEqual(await changed([]), []);
  const partly = state.facts.clone();
  for (const fileIndex of [1, 598]) partly.mtimesMs[fileIndex] = 0;
  assert.deepEqual(
    await changedFiles(place.disk, place.folder, { layout, facts: partly }, { files: [0, 1, 300, 598] }),
    [300],
    "files that were not there are left out",
  );

  rmSync(at("d"), { recursive: true });
  assert.equal((await changed()).length, 602);
  writeFileSync(at("d"), "a file in place of the folder");
  assert.equal((await changed()).length, 602);
});

test("looking stops when it is aborted, and tells what the disk said", async (t) => {
  const place = await workplaceFor(t, {});
  writeFileSync(join(place.folder, "a"), "x");
  const state = await hashFolder(place.folder, place);
  const reason = new Error("enough");
  await assert.rejects(
    changedFiles(place.disk, place.folder, state, { signal: AbortSignal.abort(reason) }),
    (error) => error === reason,
  );
  await place.disk.close();
  await assert.rejects(changedFiles(place.disk, place.folder, state), withCode("DISK_FAILED"));
});
