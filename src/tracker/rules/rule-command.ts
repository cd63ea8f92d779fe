// What every rule that writes is given: the transaction, who asks, and the clock's reading. Rules ask nothing else of the
// world, so a test runs them on a registry alone.
import type { Account } from "../../api/schemas.ts";
import type { RegistryWriter } from "../registry/registry.ts";

export interface Command {
  readonly writer: RegistryWriter;
  /** A command whose writes are here already is answered as if it had just been done. */
  readonly writeId: string;
  /** Who asks. */
  readonly account: Account;
  readonly nowMs: number;
}
