// Sends a file of a share, or a range of its bytes (RFC 9110, 14), also while it downloads: what is asked for is fetched first. A
// reader that does not advance is given up after a while, and at once if another one needs its place.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "pino";
import { asMiniTorrentError } from "../api/errors.ts";
import type { FileReader } from "../client/downloads/file-reader.ts";
import type { Clock } from "../net/timers.ts";
import { type ByteRange, byteRangeIn } from "./byte-range.ts";
import type { ContentFile } from "./content-tickets.ts";
import { shownTypeOf } from "./content-type.ts";
import type { ServedClient } from "./handlers.ts";
import { HttpRefusal } from "./http-refusal.ts";

/** Read and sent at a time, and on boundaries of it, so that a chunk seldom waits for two pieces. */
const CHUNK_BYTES = 128 * 1024;
/** Files that are sent at a time: each holds a chunk, and pieces ahead of it. A page that shows a video needs some two. */
const MOST_STREAMS = 32;
/** Nothing was sent for so long: nobody has the piece, or the player was paused. It asks again for what it needs. */
const STALL_TIMEOUT_MS = 300_000;
/** One that has advanced within this time does not give its place to another. */
const LEAST_STALL_MS = 10_000;

interface Stream {
  advancedAtMs: number;
  readonly stop: AbortController;
}

export interface ContentServerOptions {
  readonly client: Pick<ServedClient, "openReader">;
  readonly clock: Clock;
  readonly log: Logger;
}

export class ContentServer {
  readonly #options: ContentServerOptions;
  readonly #streams = new Set<Stream>();

  constructor(options: ContentServerOptions) {
    this.#options = options;
  }

  /** Files that are being sent. */
  get streamCount(): number {
    return this.#streams.size;
  }

  /**
   * Answers a GET or HEAD for the file, and has ended with it.
   *
   * @param onAnswer called once the answer is decided, before the first byte of it: nothing is thrown after that
   * @throws HttpRefusal 503 if too many are being sent; MiniTorrentError, what `Client.openReader` throws
   */
  async serve(
    file: ContentFile,
    request: IncomingMessage,
    response: ServerResponse,
    onAnswer: () => void,
  ): Promise<void> {
    this.#makeRoom();
    const { clock } = this.#options;
    const stream: Stream = { advancedAtMs: clock.nowMs(), stop: new AbortController() };
    this.#streams.add(stream);
    const end = (): void => {
      this.#streams.delete(stream);
      stream.stop.abort();
    };
    response.once("close", end);
    let reader: FileReader | undefined;
    try {
      const { groupId, fileName, path } = file;
      reader = await this.#options.client.openReader(groupId, fileName, path);
      onAnswer();
      if (response.destroyed) return;
      const range = writeHead(file, reader, request, response);
      if (range === undefined) response.end();
      else await this.#send(reader, range, response, stream);
    } catch (error) {
      if (!response.headersSent) throw error;
      if (!stream.stop.signal.aborted) {
        const { code, message } = asMiniTorrentError(error);
        this.#options.log.info({ ...file, code, reason: message }, "a file is not sent to its end");
      }
      // The length was promised: only the end of the connection says that the rest does not come.
      response.destroy();
    } finally {
      response.off("close", end);
      end();
      await reader?.close();
    }
  }

  #makeRoom(): void {
    if (this.#streams.size < MOST_STREAMS) return;
    const [stalled] = [...this.#streams].sort((a, b) => a.advancedAtMs - b.advancedAtMs);
    if (stalled === undefined || this.#options.clock.nowMs() - stalled.advancedAtMs < LEAST_STALL_MS) {
      throw new HttpRefusal(
        503,
        "LIMIT_REACHED",
        `${MOST_STREAMS} files are being read, the most at a time; try again when one has been read.`,
      );
    }
    this.#streams.delete(stalled);
    stalled.stop.abort();
  }

  async #send(
    reader: FileReader,
    { begin, end }: ByteRange,
    response: ServerResponse,
    stream: Stream,
  ): Promise<void> {
    const { signal } = stream.stop;
    const destroy = (): void => void response.destroy();
    signal.addEventListener("abort", destroy, { once: true });
    try {
      for (let at = begin; at < end; ) {
        const chunkEnd = Math.min(end, (Math.floor(at / CHUNK_BYTES) + 1) * CHUNK_BYTES);
        const bytes = await this.#advancing(stream, reader.read(at, chunkEnd - at, signal));
        // A file on the disk that was cut meanwhile.
        if (bytes.length === 0) throw new Error("the file is shorter than it was");
        at += bytes.length;
        signal.throwIfAborted();
        if (!response.write(bytes)) await this.#advancing(stream, happened("drain", response, signal));
      }
      response.end();
      await this.#advancing(stream, happened("finish", response, signal));
    } finally {
      signal.removeEventListener("abort", destroy);
    }
  }

  /** Waits for it, up to the time after which the stream counts as stalled. */
  async #advancing<T>(stream: Stream, step: Promise<T>): Promise<T> {
    const { clock } = this.#options;
    stream.advancedAtMs = clock.nowMs();
    const cancel = clock.setTimer(STALL_TIMEOUT_MS, () => stream.stop.abort());
    try {
      return await step;
    } finally {
      cancel();
    }
  }
}

/** @returns which bytes follow; undefined: none */
function writeHead(
  file: ContentFile,
  { lengthBytes, contentId }: FileReader,
  { method, headers }: IncomingMessage,
  response: ServerResponse,
): ByteRange | undefined {
  const name = (file.path ?? file.fileName).split("/").at(-1) ?? "";
  const type = shownTypeOf(name);
  const etag = `"${contentId}"`;
  // Only a GET has ranges; If-Range (RFC 9110, 13.1.5) with the name of another version asks for the whole.
  const ifRange = headers["if-range"];
  const asksForRange = method === "GET" && (ifRange === undefined || ifRange === etag);
  const range = asksForRange ? byteRangeIn(headers.range, lengthBytes) : "whole";
  const fixed = {
    "accept-ranges": "bytes",
    "cache-control": "no-store",
    etag,
    ...contentHeaders(type),
    "content-type": type ?? "application/octet-stream",
    "content-disposition": `${type === undefined ? "attachment" : "inline"}; filename*=UTF-8''${rfc8187(name)}`,
  };
  if (range === "unsatisfiable") {
    response.writeHead(416, { ...fixed, "content-range": `bytes */${lengthBytes}`, "content-length": 0 });
    return undefined;
  }
  const { begin, end } = range === "whole" ? { begin: 0, end: lengthBytes } : range;
  response.writeHead(range === "whole" ? 200 : 206, {
    ...fixed,
    "content-length": end - begin,
    ...(range === "whole" ? {} : { "content-range": `bytes ${begin}-${end - 1}/${lengthBytes}` }),
  });
  response.flushHeaders();
  return method === "HEAD" ? undefined : { begin, end };
}

/** What keeps a stranger's file from doing anything here. Not every browser shows a PDF in a sandbox. */
function contentHeaders(type: string | undefined): Readonly<Record<string, string>> {
  const sandbox = type === "application/pdf" ? "" : "sandbox; ";
  return {
    "content-security-policy": `${sandbox}default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'`,
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
  };
}

/** A value of a header's parameter (RFC 8187). */
function rfc8187(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll(
    /['()*!]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function happened(event: "drain" | "finish", response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      response.off(event, settle);
      signal.removeEventListener("abort", settle);
      if (signal.aborted) reject(signal.reason);
      else resolve();
    };
    response.on(event, settle);
    signal.addEventListener("abort", settle);
  });
}
