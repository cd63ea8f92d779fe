// What each refusal of the operating system means to a person: its code, and what they are told to do.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import {
  changedOnDisk,
  fileChanged,
  isOutOfDescriptors,
  noRoom,
  partLost,
  readError,
  readProblem,
  SHORT_READ,
  sizeUntrue,
  writeError,
  writtenTo,
} from "../../../src/storage/disk-errors.ts";

const systemError = (code: string): Error =>
  Object.assign(new Error(`${code}: the system's words`), { code });

const WRITING = {
  ENOSPC: ["DISK_FULL", /^The disk has no room for \/x\/film: free some\.$/],
  EDQUOT: ["DISK_FULL", /^Your quota has no room for \/x\/film: free some\.$/],
  EFBIG: ["DESTINATION_UNUSABLE", /does not hold files that large; choose another place/],
  EACCES: ["DESTINATION_UNUSABLE", /you may not write there; change the permissions/],
  EPERM: ["DESTINATION_UNUSABLE", /you may not write there; change the permissions/],
  EROFS: ["DESTINATION_UNUSABLE", /is read-only; choose another place/],
  ENOENT: ["DESTINATION_UNUSABLE", /folder does not exist; make it/],
  ENOTDIR: ["DESTINATION_UNUSABLE", /a part of its path is no folder/],
  EEXIST: ["DESTINATION_UNUSABLE", /a file of that name exists/],
  EISDIR: ["DESTINATION_UNUSABLE", /it is a folder; choose another name/],
  ELOOP: ["DESTINATION_UNUSABLE", /it is a symbolic link/],
  ENAMETOOLONG: ["DESTINATION_UNUSABLE", /the name is too long/],
  EXDEV: ["DESTINATION_UNUSABLE", /on another file system than the data/],
  ENXIO: ["DESTINATION_UNUSABLE", /a socket or a device/],
  ENODEV: ["DESTINATION_UNUSABLE", /a socket or a device/],
  EMFILE: ["DESTINATION_UNUSABLE", /open/],
  ENFILE: ["DESTINATION_UNUSABLE", /open/],
  EIO: ["DISK_FAILED", /^The disk refused to write \/x\/film: EIO: the system's words\. Check the disk\.$/],
} as const;

const READING = {
  ENOENT: ["FILE_NOT_FOUND", /there is no file of that name/],
  ENOTDIR: ["FILE_NOT_FOUND", /a part of the path is no folder/],
  ELOOP: ["FILE_NOT_FOUND", /lead in a circle/],
  ENAMETOOLONG: ["FILE_NOT_FOUND", /longer than the system allows/],
  EISDIR: ["NOT_A_FILE", /it is a folder: name a file/],
  ENXIO: ["NOT_A_FILE", /a socket or a device/],
  ENODEV: ["NOT_A_FILE", /it is a device/],
  EOPNOTSUPP: ["NOT_A_FILE", /it is a socket/],
  EACCES: ["FILE_UNREADABLE", /you may not read it: change the permissions/],
  EPERM: ["FILE_UNREADABLE", /you may not read it: change the permissions/],
  ESTALE: ["FILE_CHANGED", /replaced it meanwhile: try again/],
  EMFILE: ["LIMIT_REACHED", /open/],
  ENFILE: ["LIMIT_REACHED", /open/],
  EIO: ["DISK_FAILED", /^The disk refused to read \/x\/film: EIO: the system's words\. Check the disk\.$/],
} as const;

for (const [what, table, explain] of [
  ["writing", WRITING, writeError],
  ["reading", READING, readError],
] as const) {
  test(`each refusal of ${what} has its code, its reason and its remedy, and keeps what the system said`, () => {
    for (const [errno, [code, message]] of Object.entries(table)) {
      const cause = systemError(errno);
      const error = explain(cause, "/x/film");
      assert.equal(error.code, code, errno);
      assert.match(error.message, message);
      assert.ok(error.message.includes("/x/film"), error.message);
      assert.equal(error.cause, cause);
    }
  });

  test(`an error of ours stays as it is when ${what} fails, and one without a code is the disk's`, () => {
    const ours = new MiniTorrentError("FILE_EXISTS", "It is there.");
    assert.equal(explain(ours, "/x/film"), ours);
    assert.equal(explain("torn", "/x/film").code, "DISK_FAILED");
    assert.match(explain("torn", "/x/film").message, /: torn\./);
  });
}

test("a file that ends too early while it is read has changed", () => {
  const cause = systemError(SHORT_READ);
  const error = readError(cause, "/x/film");
  assert.deepEqual([error.code, error.cause], ["FILE_CHANGED", cause]);
  assert.match(error.message, /changed meanwhile: share it again/);
});

test("why a path cannot be read is the end of a sentence, or nothing if it is the disk's fault", () => {
  assert.equal(readProblem(systemError("EISDIR")), "it is a folder: name a file");
  assert.match(readProblem(systemError("EMFILE")) ?? "", /open/);
  assert.equal(readProblem(systemError("EIO")), undefined);
  assert.equal(readProblem(undefined), undefined);
});

test("a lack of descriptors is recognised, also behind an error of ours", () => {
  const lack = systemError("EMFILE");
  assert.equal(isOutOfDescriptors(lack), true);
  assert.equal(isOutOfDescriptors(readError(lack, "/x/film")), true);
  assert.equal(isOutOfDescriptors(systemError("EIO")), false);
  assert.equal(isOutOfDescriptors(readError(systemError("EIO"), "/x/film")), false);
});

test("each finding about a file has its code and says what follows from it", () => {
  assert.equal(fileChanged("/x/film").code, "FILE_CHANGED");
  assert.equal(sizeUntrue("/proc/x").code, "NOT_A_FILE");
  assert.match(sizeUntrue("/proc/x").message, /cat \/proc\/x > copy/);
  assert.equal(partLost("/x/film.part").code, "FILE_CHANGED");
  assert.match(partLost("/x/film.part").message, /removed, moved or replaced.*fetched again/);
  assert.equal(writtenTo("/x/film.part").code, "FILE_CHANGED");
  assert.match(writtenTo("/x/film.part").message, /it is verified again/);
  assert.match(changedOnDisk("/x/film.part", 1), /^A piece of \/x\/film\.part changed/);
  assert.match(changedOnDisk("/x/film.part", 2), /^2 pieces of \/x\/film\.part changed/);
});

test("the error of a full disk says how much is left, needed, and to be freed, rounded up", () => {
  for (const [room, needed, others, message] of [
    [0, 999, 0, "The disk of film has 0 B left, and 999 B are needed: free 999 B."],
    [500, 1000, 0, "The disk of film has 500 B left, and 1 kB are needed: free 500 B."],
    [1_000_000, 3_210_001, 0, "The disk of film has 1 MB left, and 3.3 MB are needed: free 2.3 MB."],
    [
      100_000_001,
      5_000_000_000,
      2_000_000_000,
      "The disk of film has 101 MB left, and 5 GB are needed, besides 2 GB for other downloads: free 6.9 GB.",
    ],
    [0, 2e15, 0, "The disk of film has 0 B left, and 2 PB are needed: free 2 PB."],
    [0, 2e18, 0, "The disk of film has 0 B left, and 2000 PB are needed: free 2000 PB."],
  ] as const) {
    const error = noRoom("film", room, needed, others);
    assert.deepEqual([error.code, error.message], ["DISK_FULL", message]);
  }
});
