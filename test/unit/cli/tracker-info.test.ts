// The file tracker_info.txt: that it is read, and what is said of one that cannot be.

import assert from "node:assert/strict";
import fs, { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { readTrackerInfo } from "../../../src/cli/tracker-info.ts";

const wrong = (message: RegExp) => ({ code: "INVALID_TRACKER_INFO", message });

describe("readTrackerInfo", () => {
  const folder = mkdtempSync(join(tmpdir(), "tracker-info-"));
  after(() => rmSync(folder, { recursive: true }));
  const written = (name: string, content: string | Uint8Array): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };

  it("reads a file", () => {
    assert.deepEqual(readTrackerInfo(written("good", "127.0.0.1:1")), [{ host: "127.0.0.1", port: 1 }]);
  });

  it("names a missing file and the remedy", () => {
    assert.throws(() => readTrackerInfo(join(folder, "none")), wrong(/There is no file .*none: make one/));
  });

  it("says of a file that may not be read what forbids it, and of any other failure what it is", (t) => {
    const path = written("unread", "127.0.0.1:1");
    const openFailing = (code: string): void => {
      const open = t.mock.method(fs, "openSync", () => {
        throw Object.assign(new Error(`${code}: failed`), { code, syscall: "open" });
      });
      syncBuiltinESMExports();
      try {
        readTrackerInfo(path);
      } finally {
        open.mock.restore();
        syncBuiltinESMExports();
      }
    };
    assert.throws(() => openFailing("EACCES"), wrong(/unread may not be read: its permissions forbid it\.$/));
    assert.throws(() => openFailing("EIO"), wrong(/unread cannot be read: /));
  });

  it("reads a file of the most bytes that a list may have, and closes it", () => {
    const most = 1024 * 1024;
    const list = `127.0.0.1:1\n#${"x".repeat(most - 13)}`;
    assert.equal(list.length, most);
    assert.deepEqual(readTrackerInfo(written("most", list)), [{ host: "127.0.0.1", port: 1 }]);
    assert.throws(() => readTrackerInfo(written("more", `${list}x`)), wrong(/more than 1048576 bytes/));
    if (!existsSync("/proc/self/fd")) return;
    const open = (): number => readdirSync("/proc/self/fd").length;
    const before = open();
    for (let count = 0; count < 5; count++) readTrackerInfo(join(folder, "most"));
    assert.equal(open(), before);
  });

  it("says that a folder is no file", () => {
    assert.throws(() => readTrackerInfo(folder), wrong(/is a folder/));
  });

  it("refuses what is no text, and what is no list", () => {
    assert.throws(
      () => readTrackerInfo(written("utf16", Buffer.from("\uFEFF1.2.3.4:5", "utf16le"))),
      wrong(/UTF-8/),
    );
    assert.throws(() => readTrackerInfo(written("film", new Uint8Array(2e6))), wrong(/no list of trackers/));
  });
});

it("a device, or a film of any length, is read no further than a list could be", {
  skip: !existsSync("/dev/zero"),
}, () => {
  assert.throws(() => readTrackerInfo("/dev/zero"), {
    code: "INVALID_TRACKER_INFO",
    message: /more than \d+ bytes/,
  });
  assert.throws(() => readTrackerInfo("/dev/null"), {
    code: "INVALID_TRACKER_INFO",
    message: /lists no tracker/,
  });
  assert.throws(() => readTrackerInfo("/dev"), { code: "INVALID_TRACKER_INFO" });
});
