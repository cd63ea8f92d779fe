// What the two programs need of the process that they run in, so that a test can be that process.
import type { SignalSource } from "./end-signals.ts";
import type { Terminal } from "./screen.ts";

export interface ProgramInput extends NodeJS.ReadableStream {
  readonly fd?: number;
  readonly isTTY?: boolean;
  destroy(): unknown;
}

export type ProgramOutput = NodeJS.WritableStream & Terminal & { readonly isTTY?: boolean };

/** `process` is one. */
export interface ProgramProcess extends SignalSource {
  readonly stdin: ProgramInput;
  readonly stdout: ProgramOutput;
  readonly stderr: ProgramOutput;
  readonly env: NodeJS.ProcessEnv;
  exit(code: number): void;
}

/** Writes to stdout and stderr as `console` does: what cannot be written is dropped. */
export type ProgramConsole = Pick<Console, "log" | "error">;
