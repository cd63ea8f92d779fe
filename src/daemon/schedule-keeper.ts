// Applies the schedule (schedule.ts) to the client: looks at the clock each minute while there are rules. What a person set by hand
// applies outside of them.
import type { Logger } from "pino";
import type { Client } from "../client/client.ts";
import { runInBackground } from "../net/run-in-background.ts";
import { later } from "../net/timers.ts";
import type { DaemonStore } from "./daemon-store.ts";
import { limitsOf, ruleAt, type ScheduleRule, scheduleSchema } from "./schedule.ts";

const MINUTE_MS = 60_000;

export interface ScheduleKeeperOptions {
  readonly store: Pick<DaemonStore, "rules" | "saveRules">;
  readonly client: Pick<Client, "overrideLimits" | "holdDownloads" | "releaseDownloads">;
  /** Local time. */
  readonly now: () => Date;
  readonly log: Logger;
}

export class ScheduleKeeper {
  readonly #options: ScheduleKeeperOptions;
  #rules: readonly ScheduleRule[] = [];
  /** The rule that is applied. */
  #applied: ScheduleRule | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Pausing and continuing, one after the other. */
  #work: Promise<void> = Promise.resolve();

  /** Applies the rules that were kept. */
  constructor(options: ScheduleKeeperOptions) {
    this.#options = options;
    const kept = scheduleSchema.safeParse({ rules: options.store.rules ?? [] });
    if (kept.success) this.#rules = kept.data.rules;
    else options.log.warn({ err: kept.error }, "the schedule cannot be read; there is none now");
    this.#look();
  }

  get rules(): readonly ScheduleRule[] {
    return this.#rules;
  }

  /** The rule that applies now; undefined: none. */
  get applied(): ScheduleRule | undefined {
    return this.#applied;
  }

  /** Replaces all rules. */
  set(rules: readonly ScheduleRule[]): void {
    this.#options.store.saveRules(rules);
    this.#rules = rules;
    this.#look();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  /** Applies what holds now, and looks again at the next full minute. */
  #look(): void {
    clearTimeout(this.#timer);
    const now = this.#options.now();
    this.#apply(ruleAt(this.#rules, now));
    if (this.#rules.length === 0) return;
    this.#timer = later("schedule", MINUTE_MS - (now.getTime() % MINUTE_MS), () => this.#look());
  }

  #apply(rule: ScheduleRule | undefined): void {
    const before = this.#applied;
    if (JSON.stringify(rule) === JSON.stringify(before)) return;
    const { client } = this.#options;
    this.#applied = rule;
    client.overrideLimits(rule && limitsOf(rule));
    if (rule?.isPaused === true) {
      const reason = `The schedule pauses downloads until ${rule.to}; resume continues one.`;
      this.#inTurn("pausing downloads by the schedule", () => client.holdDownloads(reason));
    } else if (before?.isPaused === true) {
      this.#inTurn("continuing downloads by the schedule", () => client.releaseDownloads());
    }
  }

  #inTurn(what: string, work: () => Promise<void>): void {
    const done = this.#work.then(work);
    this.#work = done.catch(() => undefined);
    runInBackground(this.#options.log, what, done);
  }
}
