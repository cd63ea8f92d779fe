import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Geometry } from "../../../src/metainfo/geometry.ts";
import { DiskPool } from "../../../src/storage/disk-pool.ts";
import { PrefixHash } from "../../../src/storage/prefix-hash.ts";
import { content, faulty, folderFor, PIECE_BYTES, sha1Hex } from "./workplace.ts";

test("when the thread that hashes dies on the way, the hash begins anew and is right", async (t) => {
  const folder = await folderFor(t);
  const once = join(folder, "died");
  const path = join(folder, "film");
  const bytes = content(5 * PIECE_BYTES + 1);
  await writeFile(path, bytes);
  const file = await open(path);
  t.after(() => file.close());
  const disk = new DiskPool(faulty(`read=DEATH&once=${once}`));
  t.after(() => disk.close());
  const hash = new PrefixHash({
    disk,
    fd: file.fd,
    path,
    geometry: new Geometry(bytes.length, PIECE_BYTES),
    hasPiece: () => true,
    giveBack: () => undefined,
  });
  assert.equal(await hash.whole(), sha1Hex(bytes));
  assert.ok(existsSync(once));
  await hash.close();
});
