// Why another tracker is not connected, as a sentence for the operator: what is wrong, then what to do.

import { MiniTorrentError } from "../../api/errors.ts";
import { dialProblem, tellingError } from "../../net/address-errors.ts";
import { errnoOf } from "../../net/errno.ts";

export interface LinkEnds {
  /** host:port of the other tracker. */
  readonly name: string;
  /** SHA-256 of this tracker's certificate, 64 hex digits. */
  readonly ownFingerprint: string;
}

/** The other tracker's answer was HTTP, and not a link. */
export class LinkRefused extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`HTTP status ${status}`);
    this.status = status;
  }
}

/** Until a first attempt has failed, and for a tracker that connects here: only it knows what fails. */
export function waitingFor({ name }: Pick<LinkEnds, "name">, isDialled: boolean): string {
  return isDialled
    ? `${name} is being connected.`
    : `${name} connects to this tracker and has not done so: start it. If it runs, its own status says why.`;
}

export function linkTrouble(error: unknown, { name, ownFingerprint }: LinkEnds): string {
  if (error instanceof MiniTorrentError) {
    // The file and the pins are read at the start.
    return error.code === "TRACKER_KEY_CHANGED"
      ? `${error.message} Then restart this tracker.`
      : error.message;
  }
  if (error instanceof LinkRefused) {
    if (error.status !== 403) {
      return `${name} answers with HTTP status ${error.status}: another program listens there, or the tracker is just starting or of another version. Check its line in tracker_info.txt, and its log.`;
    }
    return `${name} refuses this tracker's key. If this tracker was set up anew, add 'sha256:${ownFingerprint}' to this tracker's line in the tracker_info.txt of ${name}, and restart ${name}; otherwise compare the addresses in both files.`;
  }
  const failure = error instanceof Error ? tellingError(error) : error;
  const message = failure instanceof Error ? failure.message : String(failure);
  const code = errnoOf(failure);
  switch (code) {
    case "ECONNREFUSED":
      return `Nothing listens at ${name}: start that tracker, or correct its line in tracker_info.txt.`;
    case "EHOSTUNREACH":
    case "ETIMEDOUT":
      return unanswered(name);
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `The host of ${name} cannot be found: check its line in tracker_info.txt, and this machine's name server.`;
    default: {
      const problem = dialProblem(failure);
      if (problem?.isLocal) return `${name} cannot be reached from this machine: ${problem.reason}.`;
      return /timed out/.test(message)
        ? unanswered(name)
        : `The connection to ${name} failed (${message}): check that a tracker listens there, and its log.`;
    }
  }
}

/** @param reason what either end said when it closed the link */
export function linkClosed(name: string, reason: string): string {
  return `The link to ${name} was closed (${reason}); it is opened again. If that repeats, see both logs, and check that both trackers are of the same version.`;
}

function unanswered(name: string): string {
  return `${name} does not answer: check that its machine runs, and that no firewall blocks its port.`;
}
