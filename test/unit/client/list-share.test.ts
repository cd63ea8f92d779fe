// What a client tells trackers of a share: its metainfo whole, or in parts that may have to be sent again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ErrorCode, MiniTorrentError } from "../../../src/api/errors.ts";
import { INFO_PART_BYTES } from "../../../src/api/file-limits.ts";
import type { ClientContext } from "../../../src/client/client-context.ts";
import { listShare } from "../../../src/client/list-share.ts";
import type { HashProgress } from "../../../src/client/status.ts";
import { apiOf } from "../../../src/client/trackers/api-channel.ts";
import { encodeMetainfo } from "../../../src/metainfo/metainfo.ts";
import { fileEntry, folderOf } from "../metainfo/folders.ts";

interface Call {
  readonly name: string;
  readonly input: Record<string, unknown>;
}

/** A tracker that keeps parts, and shares what it has all parts of. */
class PartKeeper {
  readonly calls: Call[] = [];
  readonly parts = new Map<number, Buffer>();
  /** Info-hashes that the group has. */
  readonly shared = new Set<unknown>();
  /** Called with each part, before it is kept. */
  onPart: (partIndex: number) => Promise<void> = async () => {};
  /** What the next calls of `files.share` are refused with. */
  readonly refusals: ErrorCode[] = [];
  running = 0;
  mostAtOnce = 0;

  readonly ask: ClientContext["ask"] = async (answer, question) => {
    const api = apiOf(async (_kind, name, input) => {
      const call = { name, input: input as Call["input"] };
      this.calls.push(call);
      this.mostAtOnce = Math.max(this.mostAtOnce, ++this.running);
      try {
        return await this.#answer(call);
      } finally {
        this.running--;
      }
    });
    return answer.parse(await question(api, { writeId: "6f0c9d5e-0000-4000-8000-000000000000" }));
  };

  async #answer({ name, input }: Call): Promise<unknown> {
    if (name === "files.putInfoPart") {
      await this.onPart(Number(input.partIndex));
      this.parts.set(Number(input.partIndex), Buffer.from(String(input.part), "base64"));
      return undefined;
    }
    const refusal = this.refusals.shift();
    if (refusal !== undefined) throw new MiniTorrentError(refusal, `The tracker says ${refusal}.`);
    const isWhole = input.info !== undefined || this.shared.has(input.infoHash);
    if (!isWhole && (input.uploadId === undefined || this.parts.size === 0))
      throw new MiniTorrentError("METAINFO_MISSING", "The tracker lacks parts.");
    return { infoHash: "", joinedSwarm: false, isAnnounced: true };
  }

  named(name: string): Call["input"][] {
    return this.calls.filter((call) => call.name === name).map(({ input }) => input);
  }
}

const listing = { groupId: "films", holderId: "h", isServed: true };

/** A folder whose list of files is longer than a part. */
const largeFolder = () =>
  folderOf(Array.from({ length: 8_000 }, (_, at) => fileEntry(`picture ${at + 1_000}.jpg`)));

test("the metainfo of a file, and that of a small folder, go in the call", async () => {
  const tracker = new PartKeeper();
  const file = encodeMetainfo({
    ...{ fileName: "a", lengthBytes: 5, pieceLengthBytes: 16_384, pieceHashes: new Uint8Array(20) },
    ...{ sha1: "ab".repeat(20), authorityPem: "x" },
  });
  await listShare(tracker.ask, file, { ...listing, replaces: "r", isUpdate: true });
  const folder = await folderOf([fileEntry("a"), fileEntry("b")]);
  await listShare(tracker.ask, folder, listing);
  const [ofFile, ofFolder, ...others] = tracker.named("files.share");
  assert.deepEqual(others, []);
  assert.partialDeepStrictEqual(ofFile, { ...listing, sha1: file.sha1, replaces: "r", isUpdate: true });
  assert.equal(ofFolder?.info, Buffer.from(folder.info).toString("base64"));
  assert.equal("sha1" in (ofFolder ?? {}), false);
  assert.equal(tracker.named("files.putInfoPart").length, 0);
});

test("a torrent that the group has already is listed without sending its parts", async () => {
  const tracker = new PartKeeper();
  const folder = await largeFolder();
  tracker.shared.add(folder.infoHash);
  await listShare(tracker.ask, folder, listing);
  assert.equal(tracker.calls.length, 1);
  assert.partialDeepStrictEqual(tracker.calls[0]?.input, { ...listing, infoHash: folder.infoHash });
});

test("long metainfo is sent in parts, a few at a time, and progress counts their bytes", async () => {
  const tracker = new PartKeeper();
  const folder = await largeFolder();
  const progress: HashProgress[] = [];
  await listShare(tracker.ask, folder, listing, { onProgress: (one) => progress.push(one) });
  const sent = tracker.named("files.putInfoPart");
  const partCount = tracker.parts.size;
  assert.ok(partCount > 2, String(partCount));
  assert.equal(sent.length, partCount, "each once");
  const inOrder = [...tracker.parts].toSorted(([a], [b]) => a - b).map(([, bytes]) => bytes);
  assert.ok(inOrder.every(({ length }) => length <= INFO_PART_BYTES));
  assert.deepEqual(Buffer.concat(inOrder), Buffer.from(folder.info));
  assert.equal(new Set(sent.map(({ uploadId }) => uploadId)).size, 1);
  assert.partialDeepStrictEqual(sent[0], { groupId: "films", infoHash: folder.infoHash, partCount });
  assert.equal(tracker.named("files.share").at(-1)?.uploadId, sent[0]?.uploadId);
  assert.ok(tracker.mostAtOnce > 1 && tracker.mostAtOnce <= 4, `${tracker.mostAtOnce} at once`);
  assert.deepEqual(progress.at(-1), {
    ...{ hashedBytes: folder.info.length, lengthBytes: folder.info.length, isListing: true },
  });
  assert.equal(progress.length, partCount);
});

test("parts that a tracker lost are sent again under the same id, and not for ever", async () => {
  const tracker = new PartKeeper();
  tracker.refusals.push("METAINFO_MISSING", "METAINFO_MISSING");
  const folder = await largeFolder();
  await listShare(tracker.ask, folder, listing);
  const partCount = tracker.parts.size;
  const sent = tracker.named("files.putInfoPart");
  assert.equal(sent.length, 2 * partCount);
  assert.equal(new Set(sent.map(({ uploadId }) => uploadId)).size, 1);
  const forgetful = new PartKeeper();
  forgetful.refusals.push(...Array<ErrorCode>(9).fill("METAINFO_MISSING"));
  await assert.rejects(listShare(forgetful.ask, folder, listing), { code: "METAINFO_MISSING" });
  assert.equal(forgetful.named("files.putInfoPart").length, 3 * partCount);
});

test("another refusal is passed on, and a failed part ends the sending", async () => {
  const tracker = new PartKeeper();
  tracker.refusals.push("NOT_THE_SHARER");
  const folder = await largeFolder();
  await assert.rejects(listShare(tracker.ask, folder, listing), { code: "NOT_THE_SHARER" });
  assert.equal(tracker.calls.length, 1);
  tracker.onPart = async (partIndex) => {
    if (partIndex === 0) throw new MiniTorrentError("LIMIT_REACHED", "Enough.");
  };
  await assert.rejects(listShare(tracker.ask, folder, listing), { code: "LIMIT_REACHED" });
  assert.ok(tracker.named("files.putInfoPart").length <= 4, "none was sent after it failed");
});

test("after an abort no more parts are sent", async () => {
  const tracker = new PartKeeper();
  const folder = await largeFolder();
  const gaveUp = new AbortController();
  tracker.onPart = async () => gaveUp.abort(new Error("enough"));
  await assert.rejects(listShare(tracker.ask, folder, listing, { signal: gaveUp.signal }), /enough/);
  assert.ok(tracker.named("files.putInfoPart").length <= 4);
});
