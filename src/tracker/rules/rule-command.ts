// The input of every rule that writes: the transaction, the calling account and the time. Rules use nothing else, so a test runs
// them on a registry alone.
import type { Account } from "../../api/schemas.ts";
import type { RegistryWriter } from "../registry/registry.ts";

export interface Command {
  readonly writer: RegistryWriter;
  /** Identifies the command: if its writes exist already, it gets the same answer without writing again. */
  readonly writeId: string;
  /** The calling account. */
  readonly account: Account;
  readonly nowMs: number;
}
