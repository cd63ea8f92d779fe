// The system's error name (errno) in an error from Node.

/** `ENOSPC`, for instance; also the code of Node's own errors. Undefined if the error has none. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
