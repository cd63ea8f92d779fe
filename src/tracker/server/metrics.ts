// A tracker's metrics for Prometheus. Names contain the unit; no metric is about a person. docs/operations.md lists them, and a
// test compares the two.
import { Counter, Gauge, Registry } from "prom-client";

/** Read at each scrape. */
export interface MetricSources {
  readonly clientsConnected: () => number;
  readonly linksConnected: () => number;
  readonly lagRecords: () => number;
  readonly lagSeconds: () => number;
  readonly cannotWrite: () => number;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #writes = this.#counter("minitorrent_tracker_writes_total", "Commands that wrote to the registry");
  readonly #merged = this.#counter("minitorrent_tracker_merged_rows_total", "Rows from other trackers");
  readonly #certificates = this.#counter(
    "minitorrent_tracker_certificates_issued_total",
    "Member certificates issued",
  );
  readonly #refusedLogins = this.#counter("minitorrent_tracker_logins_refused_total", "Logins refused");
  readonly #events = this.#counter("minitorrent_tracker_events_pushed_total", "Events told to clients");
  readonly #handlerFaults = this.#counter(
    "minitorrent_tracker_connection_faults_total",
    "Connections closed because one of their handlers failed",
  );
  readonly #timerFaults = this.#counter(
    "minitorrent_tracker_timer_faults_total",
    "Work by the clock, or that nobody waits for, that failed",
  );

  constructor(sources: MetricSources) {
    this.#gauge("minitorrent_tracker_clients_connected", "Clients connected", sources.clientsConnected);
    this.#gauge(
      "minitorrent_tracker_replication_lag_rows",
      "Rows that connected trackers lack",
      sources.lagRecords,
    );
    this.#gauge(
      "minitorrent_tracker_replication_lag_seconds",
      "For how long the other tracker furthest behind has lacked rows, or has been out of reach",
      sources.lagSeconds,
    );
    this.#gauge(
      "minitorrent_tracker_cannot_write",
      "1 while this tracker cannot write and serves no clients",
      sources.cannotWrite,
    );
    this.#gauge(
      "minitorrent_tracker_links_connected",
      "Other trackers that are connected",
      sources.linksConnected,
    );
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  write(): void {
    this.#writes.inc();
  }

  merged(rows: number): void {
    this.#merged.inc(rows);
  }

  certificateIssued(): void {
    this.#certificates.inc();
  }

  loginRefused(): void {
    this.#refusedLogins.inc();
  }

  handlerFailed(): void {
    this.#handlerFaults.inc();
  }

  timerFailed(): void {
    this.#timerFaults.inc();
  }

  eventPushed(): void {
    this.#events.inc();
  }

  /** In the text format of Prometheus. */
  async expose(): Promise<string> {
    return await this.#registry.metrics();
  }

  #counter(name: string, help: string): Counter {
    return new Counter({ name, help, registers: [this.#registry] });
  }

  #gauge(name: string, help: string, read: () => number): void {
    const registers = [this.#registry];
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  }
}
