// The typed client of the local API: a call by the name of its endpoint, and the stream of events. Over the daemon's Unix socket,
// or over TCP with a token.
import { type IncomingMessage, type RequestOptions, request } from "node:http";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { asMiniTorrentError, isErrorCode, MiniTorrentError } from "../api/errors.ts";
import { errnoOf } from "../net/errno.ts";
import {
  type AnswerOf,
  API_PREFIX,
  type Endpoint,
  type EndpointName,
  endpoints,
  type InputOf,
} from "./endpoints.ts";
import { LIST_NAMES, type ListName } from "./event-lists.ts";

/** Longest answer: a list of 100,000 shares has some 40 MB. */
const MOST_ANSWER_BYTES = 64 * 1024 * 1024;
/** Longest event: a snapshot with 10,000 downloads and shares. */
const MOST_EVENT_CHARACTERS = 32 * 1024 * 1024;

/** JSON, or content as it is. */
type Body = string | Uint8Array | AsyncIterable<Uint8Array> | undefined;

const receivedSchema = z.object({ receivedBytes: z.number() });

export type ApiTarget =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number; readonly token: string };

export interface DaemonEvent {
  readonly type: string;
  /** For `since` of a later stream; undefined for what is not kept. */
  readonly id: string | undefined;
  readonly data: unknown;
}

export class ApiClient {
  readonly #options: RequestOptions;
  readonly #where: string;

  constructor(target: ApiTarget) {
    if ("socketPath" in target) {
      // A kept connection would be one to a daemon that has ended.
      this.#options = { socketPath: target.socketPath, headers: { host: "localhost" }, agent: false };
      this.#where = target.socketPath;
    } else {
      const { host, port, token } = target;
      this.#options = { host, port, headers: { authorization: `Bearer ${token}` }, agent: false };
      this.#where = `${host}:${port}`;
    }
  }

  /**
   * @param input parameters, query and body of the call in one object
   * @throws MiniTorrentError DAEMON_UNREACHABLE; what the daemon answers
   */
  async call<N extends EndpointName>(
    name: N,
    input: InputOf<N>,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<AnswerOf<N>> {
    const { method, path, query, body, answer }: Endpoint = endpoints[name];
    const fields = { ...(input as Record<string, unknown>) };
    const filled = path.replaceAll(/:(\w+)/g, (_, key: string) => encodeURIComponent(String(fields[key])));
    const search = new URLSearchParams();
    for (const key of Object.keys(query?.shape ?? {})) {
      if (fields[key] !== undefined) search.set(key, String(fields[key]));
    }
    const bodyFields = Object.keys(body?.shape ?? {}).map((key) => [key, fields[key]]);
    const text = await this.#ask(
      method,
      `${filled}${search.size === 0 ? "" : `?${search}`}`,
      body === undefined ? undefined : JSON.stringify(Object.fromEntries(bodyFields)),
      signal,
    );
    const parsed = answer.safeParse(asJson(text));
    if (parsed.success) return parsed.data as AnswerOf<N>;
    throw new MiniTorrentError(
      "MALFORMED_MESSAGE",
      `The daemon's answer to ${name} does not have the required form; update both to one version.`,
      { cause: parsed.error },
    );
  }

  /**
   * Sends content of an upload, a whole file or the next part of one.
   *
   * @param inside path in the folder; undefined for a single file
   * @param offset where in the file
   * @returns how much of the file is there then
   * @throws MiniTorrentError DAEMON_UNREACHABLE; what the daemon answers
   */
  async sendContent(
    uploadId: string,
    { inside, offset = 0 }: { readonly inside?: string; readonly offset?: number },
    content: AsyncIterable<Uint8Array> | Uint8Array,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<{ receivedBytes: number }> {
    const search = new URLSearchParams({ offset: String(offset) });
    if (inside !== undefined) search.set("path", inside);
    const path = `/uploads/${encodeURIComponent(uploadId)}/content?${search}`;
    const text = await this.#ask("PUT", path, content, signal);
    return receivedSchema.parse(asJson(text));
  }

  /**
   * Events, the first of which is a snapshot, until the signal is aborted or the daemon ends.
   *
   * @param since id of the last event seen; what happened after it comes before the snapshot
   * @param lists what is told beside the status and what happens
   * @throws MiniTorrentError DAEMON_UNREACHABLE; what the daemon answers
   */
  async *events(
    signal: AbortSignal,
    since?: string,
    lists: readonly ListName[] = LIST_NAMES,
  ): AsyncGenerator<DaemonEvent, void> {
    const headers = since === undefined ? {} : { "last-event-id": since };
    const response = await this.#open("GET", `/events?lists=${lists.join()}`, undefined, signal, headers);
    if (response.statusCode !== 200) throw refusalIn(await textOf(response));
    let text = "";
    response.setEncoding("utf8");
    try {
      for await (const chunk of response) {
        text += chunk;
        for (let end = text.indexOf("\n\n"); end !== -1; end = text.indexOf("\n\n")) {
          const event = eventIn(text.slice(0, end));
          text = text.slice(end + 2);
          if (event !== undefined) yield event;
          if (signal.aborted) return;
        }
        if (text.length > MOST_EVENT_CHARACTERS)
          throw new MiniTorrentError(
            "MALFORMED_MESSAGE",
            "An event of the daemon is too long: update daemon and command to one version.",
          );
      }
    } catch (error) {
      if (signal.aborted) return;
      throw error instanceof MiniTorrentError ? error : this.#unreachable(error);
    }
  }

  async #ask(method: string, path: string, body: Body, signal: AbortSignal | undefined): Promise<string> {
    const response = await this.#open(method, path, body, signal);
    const text = await textOf(response).catch((error: unknown) => {
      throw signal?.aborted ? signal.reason : this.#unreachable(error);
    });
    if (response.statusCode === 200) return text;
    throw refusalIn(text);
  }

  #open(
    method: string,
    path: string,
    body: Body,
    signal: AbortSignal | undefined,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const asked = request({
        ...this.#options,
        method,
        path: API_PREFIX + path,
        headers: {
          ...(this.#options.headers as object),
          ...headers,
          ...typeOf(body),
        },
        ...(signal && { signal }),
      });
      asked.once("response", resolve);
      asked.once("error", (error) => reject(signal?.aborted ? signal.reason : this.#unreachable(error)));
      if (body === undefined || typeof body === "string" || body instanceof Uint8Array) asked.end(body);
      // An error of the request is told above; one of the content ends it.
      else pipeline(body, asked).catch((error: unknown) => reject(signal?.aborted ? signal.reason : error));
    });
  }

  #unreachable(error: unknown): MiniTorrentError {
    const isAbsent = errnoOf(error) === "ENOENT" || errnoOf(error) === "ECONNREFUSED";
    const what = isAbsent ? "No daemon runs" : `The daemon at ${this.#where} does not answer`;
    return new MiniTorrentError("DAEMON_UNREACHABLE", `${what}; start it: minitorrent daemon.`, {
      cause: error,
    });
  }
}

function typeOf(body: Body): Readonly<Record<string, string>> {
  if (body === undefined) return {};
  return { "content-type": typeof body === "string" ? "application/json" : "application/octet-stream" };
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let lengthBytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    lengthBytes += chunk.length;
    if (lengthBytes > MOST_ANSWER_BYTES)
      throw new MiniTorrentError(
        "MALFORMED_MESSAGE",
        "The daemon's answer has more than 64 MiB: ask for less at a time.",
      );
  }
  return Buffer.concat(chunks).toString("utf8");
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw asMiniTorrentError(error);
  }
}

function refusalIn(text: string): MiniTorrentError {
  const answer = asJson(text) as { code?: unknown; error?: unknown } | null;
  const code = isErrorCode(answer?.code) ? answer.code : "INTERNAL";
  return new MiniTorrentError(
    code,
    typeof answer?.error === "string" ? answer.error : "The daemon refused the call.",
  );
}

function eventIn(text: string): DaemonEvent | undefined {
  const fields = new Map(
    text.split("\n").map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]),
  );
  const [type, data] = [fields.get("event"), fields.get("data")];
  if (type === undefined || data === undefined) return undefined;
  return { type, id: fields.get("id"), data: asJson(data) };
}
