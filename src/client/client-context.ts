// What shares and downloads need of the client; login.ts makes it.
import type { Logger } from "pino";
import type { ZodType } from "zod";
import type { WriteAttempt } from "../api/schemas.ts";
import type { ActiveTorrent, Session } from "../engine/session.ts";
import type { StorageResources } from "../storage/storage-resources.ts";
import type { Announcer } from "./announcer.ts";
import type { Memberships } from "./memberships.ts";
import type { Profile } from "./profile.ts";
import type { ClientEvent } from "./status.ts";
import type { TrackerApi } from "./trackers/api-channel.ts";

/** What downloads and shares see of a running torrent. `ActiveTorrent` fits it. */
export interface RunningTorrent {
  readonly torrent: Pick<
    ActiveTorrent["torrent"],
    | "have"
    | "isStarved"
    | "holders"
    | "bannedFor"
    | "readAhead"
    | "status"
    | "uploadBytesPerSecond"
    | "copiesOf"
    | "isComing"
  >;
  readonly connections: Pick<
    ActiveTorrent["connections"],
    "connectedCount" | "knowsSample" | "contacts" | "peersOnline"
  >;
}

/** Where torrents run. `Session` fits it. */
export interface Swarms extends Pick<Session, "remove" | "want"> {
  add(parts: Parameters<Session["add"]>[0]): RunningTorrent;
  get(infoHash: string): RunningTorrent | undefined;
}

export interface ClientContext {
  readonly session: Swarms;
  readonly memberships: Pick<Memberships, "obtain" | "credentials">;
  readonly announcer: Pick<Announcer, "add" | "told" | "remove">;
  readonly storage: StorageResources;
  readonly log: Logger;
  /** The profile of the account that is logged in. @throws MiniTorrentError NOT_LOGGED_IN */
  readonly profile: () => Profile;
  readonly onEvent: (event: ClientEvent) => void;
  /** The connected tracker, or why none is. */
  readonly tracker: () => { readonly address: string | undefined; readonly problem: string | undefined };
  /** The warning about this machine's clock, by the tracker's time; undefined if the clock is right. */
  readonly clockWarning: () => string | undefined;
  /** Calls a tracker; a call that is repeated at another tracker has the same write id. See `TrackerLink.ask`. */
  readonly ask: <T>(
    answer: ZodType<T>,
    question: (api: TrackerApi, write: WriteAttempt) => Promise<unknown>,
  ) => Promise<T>;
}
