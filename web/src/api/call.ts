// Calls of the daemon's API. Inputs and answers have the types of the daemon's own table.

import { endpoints } from "virtual:endpoints";
import { signal } from "@preact/signals";
import type { AnswerOf, EndpointName, InputOf } from "../../../src/daemon/endpoints.ts";
import { t } from "../i18n/t.ts";
import { pageKey } from "../state/page-key.ts";
import { requestOf } from "../state/request.ts";

export type { AnswerOf, EndpointName, InputOf };

const API = "/api/v1";

/** What the daemon refused. `message` is a sentence for people. */
export class ApiError extends Error {
  readonly code: string;
  /** HTTP status; 0: the daemon did not answer. */
  readonly status: number;

  constructor(code: string, message: string, status: number) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** The daemon does not let this browser in: it needs a link. */
export const isSignedOut = signal(false);

export interface CallOptions {
  readonly signal?: AbortSignal;
}

/** @throws ApiError; an AbortError if `signal` aborts it */
export async function call<N extends EndpointName>(
  name: N,
  ...[input, options = {}]: Record<never, never> extends InputOf<N>
    ? [input?: InputOf<N>, options?: CallOptions]
    : [input: InputOf<N>, options?: CallOptions]
): Promise<AnswerOf<N>> {
  const row = endpoints[name];
  if (row === undefined) throw new ApiError("USAGE", t("shell.errors.unknownCall", { name }), 0);
  const { method, path, body } = requestOf(row, (input ?? {}) as Record<string, unknown>);
  const answer = await request(path, {
    method,
    ...(body !== undefined && { body, headers: { "content-type": "application/json" } }),
    ...options,
  });
  return (await answer.json()) as AnswerOf<N>;
}

/**
 * A request to the API that is not in the table of calls: an upload, or the stream of events.
 *
 * @param path below /api/v1
 * @throws ApiError unless the status is 200 to 299; an AbortError
 */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const key = pageKey();
  if (key !== undefined) headers.set("x-minitorrent-page", key);
  let answer: Response;
  try {
    answer = await fetch(API + path, { ...init, headers, cache: "no-store", credentials: "same-origin" });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError("DAEMON_UNREACHABLE", t("shell.errors.unreachable"), 0);
  }
  if (answer.ok) return answer;
  const failure = await failureOf(answer);
  if (answer.status === 401 && path !== "/enter") isSignedOut.value = true;
  throw failure;
}

async function failureOf(answer: Response): Promise<ApiError> {
  try {
    const { code, error } = (await answer.json()) as { code: string; error: string };
    if (typeof code === "string" && typeof error === "string")
      return new ApiError(code, error, answer.status);
  } catch {
    // Not the daemon's own answer: a proxy between may send anything.
  }
  return new ApiError("INTERNAL", t("shell.errors.noAnswer", { status: answer.status }), answer.status);
}

/** The sentence of an error, for people. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
