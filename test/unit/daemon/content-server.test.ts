// Files of shares over HTTP: ranges, headers, what is waited for, and that nothing is held by whoever does not read or does not come.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type Agent, createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import { until } from "../../../harness/within.ts";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import type { FileReader } from "../../../src/client/downloads/file-reader.ts";
import { ContentServer } from "../../../src/daemon/content-server.ts";
import type { ContentFile } from "../../../src/daemon/content-tickets.ts";
import { HttpRefusal } from "../../../src/daemon/http-refusal.ts";

const FILE = { groupId: "films", fileName: "dune.mp4" };
const bytesOf = (lengthBytes: number): Buffer =>
  Buffer.from(Uint8Array.from({ length: lengthBytes }, (_, index) => (index * 7 + (index >> 8)) % 251));

/** A reader of bytes in memory; those from `hereBytes` on do not come until it grows. */
class MemoryReader implements FileReader {
  readonly lengthBytes: number;
  contentId = "v1";
  hereBytes: number;
  isClosed = false;
  readonly reads: number[] = [];
  readonly #bytes: Buffer;
  #arrived = Promise.withResolvers<void>();

  constructor(bytes: Buffer, hereBytes = bytes.length) {
    this.#bytes = bytes;
    this.lengthBytes = bytes.length;
    this.hereBytes = hereBytes;
  }

  arrive(hereBytes: number): void {
    this.hereBytes = hereBytes;
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers<void>();
  }

  async read(positionBytes: number, lengthBytes: number, signal?: AbortSignal): Promise<Uint8Array> {
    this.reads.push(positionBytes);
    const aborted = Promise.withResolvers<never>();
    aborted.promise.catch(() => undefined);
    signal?.addEventListener("abort", () => aborted.reject(signal.reason), { once: true });
    while (positionBytes + lengthBytes > this.hereBytes) {
      signal?.throwIfAborted();
      await Promise.race([this.#arrived.promise, aborted.promise]);
    }
    return this.#bytes.subarray(positionBytes, positionBytes + lengthBytes);
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

/** A clock that a test moves on. */
class FakeClock {
  time = 0;
  readonly #timers = new Map<object, { atMs: number; work: () => void }>();
  nowMs = (): number => this.time;
  setTimer = (delayMs: number, work: () => void): (() => void) => {
    const key = {};
    this.#timers.set(key, { atMs: this.time + delayMs, work });
    return () => void this.#timers.delete(key);
  };
  pass(periodMs: number): void {
    this.time += periodMs;
    for (const [key, { atMs, work }] of [...this.#timers]) {
      if (atMs > this.time) continue;
      this.#timers.delete(key);
      work();
    }
  }
}

async function serving(t: TestContext, reader: FileReader | (() => FileReader), file: ContentFile = FILE) {
  const clock = new FakeClock();
  const openReader = async () => (typeof reader === "function" ? reader() : reader);
  const content = new ContentServer({ client: { openReader }, clock, log: pino({ level: "silent" }) });
  const server = createServer((asked, response) => {
    content
      .serve(file, asked, response, () => undefined)
      .catch((error: unknown) => {
        response.statusCode = error instanceof HttpRefusal ? error.status : 422;
        response.end(error instanceof MiniTorrentError ? error.code : String(error));
      });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/`;
  const get = (headers: Record<string, string> = {}, method = "GET") => fetch(url, { method, headers });
  /** Gets the head of an answer, and reads nothing further. */
  const open = (agent?: Agent): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const asked = request(url, { agent: agent ?? false }, resolve);
      asked.once("error", reject);
      asked.end();
      t.after(() => asked.destroy());
    });
  return { content, clock, get, open };
}

test("a file is sent whole, and its ranges, with their lengths", async (t) => {
  const bytes = bytesOf(300_000);
  const { get, content } = await serving(t, () => new MemoryReader(bytes));
  const whole = await get();
  assert.deepEqual([whole.status, whole.headers.get("content-length")], [200, "300000"]);
  assert.equal(whole.headers.get("accept-ranges"), "bytes");
  assert.ok(bytes.equals(Buffer.from(await whole.arrayBuffer())));
  for (const [range, begin, end] of [
    ["bytes=0-0", 0, 1],
    ["bytes=131071-131072", 131_071, 131_073],
    ["bytes=299990-", 299_990, 300_000],
    ["bytes=-200000", 100_000, 300_000],
  ] as const) {
    const part = await get({ range });
    assert.equal(part.status, 206, range);
    assert.equal(part.headers.get("content-range"), `bytes ${begin}-${end - 1}/300000`);
    assert.ok(bytes.subarray(begin, end).equals(Buffer.from(await part.arrayBuffer())), range);
  }
  const behind = await get({ range: "bytes=300000-" });
  assert.deepEqual([behind.status, behind.headers.get("content-range")], [416, "bytes */300000"]);
  const several = await get({ range: "bytes=0-1,4-5" });
  assert.equal(several.status, 200);
  await several.arrayBuffer();
  await until(() => content.streamCount === 0, "nothing is being sent any more");
});

test("an empty file is sent, and HEAD says what GET would, without the bytes", async (t) => {
  const empty = await serving(t, new MemoryReader(Buffer.alloc(0)));
  assert.deepEqual([(await empty.get()).status, (await empty.get({ range: "bytes=0-" })).status], [200, 416]);
  const reader = new MemoryReader(bytesOf(9), 0);
  const { get } = await serving(t, reader);
  const head = await get({ range: "bytes=0-1" }, "HEAD");
  assert.deepEqual([head.status, head.headers.get("content-length")], [200, "9"]);
  await until(() => reader.isClosed, "the reader is closed");
  assert.deepEqual(reader.reads, []);
});

test("a range of another version is answered with the whole of this one", async (t) => {
  const { get } = await serving(t, () => new MemoryReader(bytesOf(9)));
  const range = "bytes=3-5";
  assert.equal((await get({ range, "if-range": '"v1"' })).status, 206);
  assert.equal((await get({ range, "if-range": '"v0"' })).status, 200);
  assert.equal((await get({ range, "if-range": "Sat, 28 Nov 2026 10:00:00 GMT" })).status, 200);
});

test("nothing that a file holds can run as a page of the daemon", async (t) => {
  const headersOf = async (file: ContentFile) => {
    const { get } = await serving(t, new MemoryReader(bytesOf(1)), file);
    return (await get()).headers;
  };
  for (const [name, type, disposition] of [
    ["film.MP4", "video/mp4", "inline"],
    ["evil.html", "text/plain; charset=utf-8", "inline"],
    ["evil.svg", "application/octet-stream", "attachment"],
    ["evil.xhtml", "application/octet-stream", "attachment"],
    ["no-end", "application/octet-stream", "attachment"],
    ["a.constructor", "application/octet-stream", "attachment"],
  ] as const) {
    const headers = await headersOf({ ...FILE, fileName: name });
    assert.equal(headers.get("content-type"), type, name);
    assert.match(headers.get("content-disposition") ?? "", new RegExp(`^${disposition};`), name);
    assert.match(headers.get("content-security-policy") ?? "", /^sandbox; default-src 'none'/, name);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("cross-origin-resource-policy"), "same-origin");
  }
  const odd = await headersOf({ ...FILE, path: "a/b\r\nx: y'\"ü.bin" });
  assert.equal(
    odd.get("content-disposition"),
    "attachment; filename*=UTF-8''b%0D%0Ax%3A%20y%27%22%C3%BC.bin",
  );
  const pdf = await headersOf({ ...FILE, fileName: "a.pdf" });
  assert.match(
    pdf.get("content-security-policy") ?? "",
    /^default-src 'none'/,
    "viewers need it without sandbox",
  );
});

test("bytes that are not here yet are waited for", async (t) => {
  const bytes = bytesOf(200_000);
  const reader = new MemoryReader(bytes, 0);
  const { get } = await serving(t, reader);
  const answer = await get({ range: "bytes=150000-" });
  assert.equal(answer.status, 206, "the head comes before the bytes");
  reader.arrive(bytes.length);
  assert.ok(bytes.subarray(150_000).equals(Buffer.from(await answer.arrayBuffer())));
});

test("what cannot be opened is refused with its reason, and holds nothing", async (t) => {
  const { get, content } = await serving(t, () => {
    throw new MiniTorrentError("UNKNOWN_FILE", "No such file.");
  });
  assert.equal(await (await get()).text(), "UNKNOWN_FILE");
  assert.equal(content.streamCount, 0);
});

test("a file that ends before its length breaks the connection off: the rest is not made up", async (t) => {
  class ShortReader extends MemoryReader {
    override async read(positionBytes: number): Promise<Uint8Array> {
      return positionBytes === 0 ? new Uint8Array(10) : new Uint8Array(0);
    }
  }
  const { get, content } = await serving(t, new ShortReader(bytesOf(100)));
  const answer = await get();
  await assert.rejects(answer.arrayBuffer());
  assert.equal(content.streamCount, 0);
});

test("a browser that goes away ends the reading", async (t) => {
  const reader = new MemoryReader(bytesOf(100), 0);
  const { open, content } = await serving(t, reader);
  const answer = await open();
  assert.equal(content.streamCount, 1);
  answer.destroy();
  await until(() => reader.isClosed && content.streamCount === 0, "the reader is closed");
});

test("a browser that does not read is not read ahead for, and is let go after five minutes", async (t) => {
  const lengthBytes = 64 * 1024 * 1024;
  const reader = new MemoryReader(Buffer.alloc(lengthBytes));
  const { open, clock, content } = await serving(t, reader);
  const answer = await open();
  answer.pause();
  let before = -1;
  await until(() => {
    const isAtRest = reader.reads.length === before;
    before = reader.reads.length;
    return isAtRest;
  }, "the connection is full");
  assert.ok((reader.reads.at(-1) ?? 0) < lengthBytes / 2, "it is not read to the end");
  answer.once("error", () => undefined);
  clock.pass(299_999);
  assert.equal(content.streamCount, 1);
  clock.pass(1);
  await until(() => reader.isClosed && content.streamCount === 0, "it is let go");
});

test("bytes that nobody has are waited for five minutes", async (t) => {
  const reader = new MemoryReader(bytesOf(100), 0);
  const { get, clock, content } = await serving(t, reader);
  const answer = await get();
  clock.pass(300_000);
  await assert.rejects(answer.arrayBuffer());
  await until(() => reader.isClosed && content.streamCount === 0, "it is let go");
});

test("of 32 readers that is the most, one that does not advance gives its place to a new one; one that does, does not", async (t) => {
  const readers: MemoryReader[] = [];
  const { open, get, clock, content } = await serving(t, () => {
    const reader = new MemoryReader(bytesOf(100), 0);
    readers.push(reader);
    return reader;
  });
  for (let opened = 0; opened < 32; opened++) {
    clock.pass(1);
    (await open()).once("error", () => undefined);
  }
  const refused = await get();
  assert.deepEqual([refused.status, await refused.text()], [503, "LIMIT_REACHED"]);
  clock.pass(10_000);
  const late = await open();
  assert.equal(late.statusCode, 200);
  assert.equal(content.streamCount, 32);
  await until(() => readers[0]?.isClosed === true, "the first is let go");
  assert.deepEqual(
    readers.slice(1).filter(({ isClosed }) => isClosed),
    [],
  );
});
