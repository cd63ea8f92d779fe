// A refusal of a call that has an HTTP status of its own, whatever the status of its code is.
import { type ErrorCode, MiniTorrentError } from "../api/errors.ts";

export class HttpRefusal extends MiniTorrentError {
  readonly status: number;

  constructor(status: number, code: ErrorCode, sentence: string) {
    super(code, sentence);
    this.status = status;
  }
}
