// What shares and downloads work with, handed to both by client.ts.
import type { Logger } from "pino";
import type { ZodType } from "zod";
import type { WriteAttempt } from "../api/schemas.ts";
import type { StorageResources } from "../storage/storage-resources.ts";
import type { Announcer } from "./announcer.ts";
import type { TrackerApi } from "./api-channel.ts";
import type { Memberships } from "./memberships.ts";
import type { Profile } from "./profile.ts";
import type { Session } from "./session.ts";
import type { ClientEvent } from "./status.ts";

export interface Surroundings {
  readonly session: Session;
  readonly memberships: Memberships;
  readonly announcer: Announcer;
  readonly storage: StorageResources;
  readonly log: Logger;
  /** The profile of who is logged in. @throws MiniTorrentError NOT_LOGGED_IN */
  readonly profile: () => Profile;
  readonly onEvent: (event: ClientEvent) => void;
  /** The connected tracker, or why none is. */
  readonly tracker: () => { readonly address: string | undefined; readonly problem: string | undefined };
  /** The warning about this machine's clock, by the tracker's time; undefined if the clock is right. */
  readonly clockWarning: () => string | undefined;
  /** Asks a tracker, once more at another one if need be, and known as the same. See `TrackerLink.ask`. */
  readonly ask: <T>(
    answer: ZodType<T>,
    question: (api: TrackerApi, write: WriteAttempt) => Promise<unknown>,
  ) => Promise<T>;
}
