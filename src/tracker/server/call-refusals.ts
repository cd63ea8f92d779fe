// The answer to a call that failed: a code and a sentence for people, beside the numbers of JSON-RPC 2.0 and HTTP.
import { ZodError } from "zod";
import { type ErrorCode, MiniTorrentError } from "../../api/errors.ts";
import { MalformedInput } from "./procedure-builder.ts";

/** How far a call came, with the codes of JSON-RPC 2.0 (from -32768 to -32000) and HTTP, and tRPC's name for them. */
const STAGES = {
  unread: { code: -32_700, name: "PARSE_ERROR", httpStatus: 400 },
  "not-found": { code: -32_004, name: "NOT_FOUND", httpStatus: 404 },
  malformed: { code: -32_600, name: "BAD_REQUEST", httpStatus: 400 },
  failed: { code: -32_603, name: "INTERNAL_SERVER_ERROR", httpStatus: 500 },
} as const;

export interface Refusal {
  readonly message: string;
  readonly code: number;
  readonly data: {
    readonly code: string;
    readonly httpStatus: number;
    readonly minitorrentCode: ErrorCode;
    readonly retryAfterMs?: number;
  };
}

/** A call of a procedure that the router does not have. */
export class UnknownProcedure extends Error {}

/**
 * Any error but a MiniTorrentError, a malformed input or an unknown procedure is a fault of the tracker, also a ZodError of what
 * it read itself.
 *
 * @param isRead false if the message could not be read, or has no calls that can be run
 */
export function refusalOf(error: unknown, isRead: boolean): Refusal {
  const { code, name, httpStatus } = STAGES[stageOf(error, isRead)];
  const { code: minitorrentCode, message, retryAfterMs } = describe(error, isRead);
  return {
    message,
    code,
    data: {
      ...{ code: name, httpStatus, minitorrentCode },
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
  };
}

function stageOf(error: unknown, isRead: boolean): keyof typeof STAGES {
  if (!isRead) return "unread";
  if (error instanceof UnknownProcedure) return "not-found";
  return error instanceof MalformedInput ? "malformed" : "failed";
}

function describe(
  error: unknown,
  isRead: boolean,
): Pick<MiniTorrentError, "code" | "message"> & Partial<Pick<MiniTorrentError, "retryAfterMs">> {
  if (error instanceof MiniTorrentError) return error;
  const malformed = malformedIn(error, isRead);
  if (malformed !== undefined) {
    const [issue] = malformed.issues;
    const field = issue?.path.join(".") ?? "";
    const message = `${field === "" ? "The request" : field} is refused: ${issue?.message ?? "wrong form"}.`;
    return { code: "INVALID_ARGUMENT", message };
  }
  if (error instanceof UnknownProcedure || (!isRead && error instanceof Error)) {
    return { code: "INVALID_ARGUMENT", message: error.message };
  }
  return { code: "INTERNAL", message: "Something went wrong inside the tracker; its log says more." };
}

/** What was wrong with the form of a call: of its input, or of the message that it came in. */
function malformedIn(error: unknown, isRead: boolean): ZodError | undefined {
  if (error instanceof MalformedInput) return error.cause;
  return !isRead && error instanceof ZodError ? error : undefined;
}
