// Files for other BitTorrent clients.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import bencode from "bencode";
import { encodeCertificateFile, encodeTorrentFile, writeNewFile } from "../../../src/client/export.ts";
import { filmOf } from "./download-fixture.ts";

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "minitorrent-export-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("a .torrent file is a dictionary around the info dictionary, whose bytes stay as they are", () => {
  const { metainfo } = filmOf("film");
  const encoded = Buffer.from(encodeTorrentFile(metainfo));
  assert.ok(encoded.includes(metainfo.info));
  const decoded = bencode.decode(encoded) as Record<string, Record<string, unknown>>;
  assert.deepEqual(Object.keys(decoded), ["info"]);
  assert.equal(decoded.info?.length, metainfo.geometry.lengthBytes);
});

test("a certificate file has the certificate, its key and the group's CA, in that order, a line's end after each", () => {
  const parts = { certificatePem: "certificate\n\n", privateKeyPem: " key", authorityPem: "CA\n" };
  assert.equal(encodeCertificateFile(parts), "certificate\nkey\nCA\n");
});

test("a new file is its owner's alone, and one that is there is not overwritten", async (t) => {
  const folder = folderFor(t);
  const path = join(folder, "key.pem");
  await writeNewFile(path, "secret");
  assert.equal(readFileSync(path, "utf8"), "secret");
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await assert.rejects(writeNewFile(path, "other"), {
    code: "FILE_EXISTS",
    message: `${path} is there already; choose another name.`,
  });
  assert.equal(readFileSync(path, "utf8"), "secret");
});

test("a path that cannot be written is named with its cause", async (t) => {
  const folder = folderFor(t);
  writeFileSync(join(folder, "plain"), "");
  for (const path of [join(folder, "missing", "key.pem"), join(folder, "plain", "key.pem")]) {
    await assert.rejects(writeNewFile(path, "secret"), (error: Error & { code?: string }) => {
      assert.equal(error.code, "DESTINATION_UNUSABLE");
      assert.equal(error.message, `${path} cannot be written.`);
      assert.ok(error.cause instanceof Error);
      return true;
    });
  }
});
