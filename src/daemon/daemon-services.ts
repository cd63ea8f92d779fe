// What a daemon does beside its client, for those who call it: keeps uploads, the schedule of limits, the history of speed, and what
// happened in the groups.
import type { Logger } from "pino";
import type { Client } from "../client/client.ts";
import type { ClientEvent } from "../client/status.ts";
import { every } from "../net/timers.ts";
import { ActivityLog } from "./activity.ts";
import type { DaemonStore } from "./daemon-store.ts";
import { ScheduleKeeper } from "./schedule-keeper.ts";
import { SpeedHistory, STEP_MS } from "./speed-history.ts";
import { Uploads } from "./uploads.ts";

export interface DaemonServicesOptions {
  readonly store: DaemonStore;
  readonly client: Client;
  /** Where downloads and uploads go if nothing else is said. Absolute. */
  readonly folder: string;
  readonly log: Logger;
}

export class DaemonServices {
  readonly folder: string;
  readonly activity: ActivityLog;
  readonly schedule: ScheduleKeeper;
  readonly speed = new SpeedHistory();
  readonly uploads: Uploads;
  readonly #sampling: NodeJS.Timeout;

  /** Applies the schedule, and begins to remove what uploads to an earlier process left. */
  constructor({ store, client, folder, log }: DaemonServicesOptions) {
    this.folder = folder;
    const accountId = () => client.status().account?.accountId;
    this.activity = new ActivityLog({ store, log, accountId, nowMs: Date.now });
    this.schedule = new ScheduleKeeper({ store, client, log, now: () => new Date() });
    this.uploads = new Uploads({ store, folder, log, nowMs: () => performance.now() });
    this.#sampling = every("speed history", STEP_MS, () => this.speed.sample(client.traffic(), Date.now()));
  }

  happened(event: ClientEvent): void {
    this.activity.happened(event);
  }

  /** After the client's end, whose last events are kept too. */
  async close(): Promise<void> {
    clearInterval(this.#sampling);
    this.schedule.close();
    this.activity.close();
    await this.uploads.close();
  }
}
