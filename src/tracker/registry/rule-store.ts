// What the tracker's rules and queries need of a registry, wherever its rows are: on this machine, or in a database that answers
// later. Any implementation passes the suite in `test/unit/tracker/registry/rule-store-compliance.ts`.
import type { RegistryReader, RegistryRecord, RegistryWriter } from "./registry.ts";

export interface RuleStore {
  /**
   * Reads rows as of one moment.
   *
   * @param work may run several times: it must depend on what it reads alone, and change nothing
   */
  query<T>(work: (reader: RegistryReader) => T): Promise<T>;
  /**
   * Runs `work` as one transaction: all of its rows or, if it throws, none. What it throws is what the promise rejects with.
   *
   * @param work may run several times: it must depend on what it reads alone, and change nothing but rows
   * @param writeId identifies the command that writes
   * @param isRetry the command was asked before, at a tracker that did not answer
   * @returns what `work` returned, and the rows it wrote, once they are on disk
   */
  transact<T>(
    writeId: string,
    work: (writer: RegistryWriter) => T,
    isRetry?: boolean,
  ): Promise<{ result: T; records: readonly RegistryRecord[] }>;
}
