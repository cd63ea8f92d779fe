// Recovery of a damaged or missing registry: it is set aside and kept, and a new one is filled from another tracker. Where
// none serves, the tracker does not start. An empty registry never passes for a complete one.
import { existsSync, rmSync, statSync } from "node:fs";
import { get } from "node:https";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Logger } from "pino";
import { z } from "zod";
import { formatAddress, type TrackerAddress } from "../../api/addresses.ts";
import { MiniTorrentError } from "../../api/errors.ts";
import { renameDurably, writePrivate } from "../../identity/private-files.ts";
import { hasIdentity } from "../../identity/stored-identity.ts";
import { REGISTRY_FILE } from "../data-directory.ts";
import type { VersionVector } from "./registry.ts";
import { SqliteRegistry, type SqliteRegistryOptions } from "./sqlite-registry.ts";

/** Marker for damage found while serving: the next start checks the whole registry, however long that takes. */
const SUSPECT_FILE = "registry.suspect";
/** Suffixes of the database's files. The database is moved last, so once it is moved, the others are too. */
const SUFFIXES = ["-wal", "-journal", ""] as const;
const ASK_TIMEOUT_MS = 2_000;
const MAX_HEALTH_BYTES = 1024 * 1024;

const healthSchema = z.object({ isServing: z.literal(true) });
/** A registry that was set aside: its path, and its version vector if that could be read. */
const lossSchema = z.object({
  kept: z.string().optional(),
  vector: z.record(z.string(), z.number()).optional(),
});

export interface RegistryFolder {
  readonly dataDir: string;
  /** The other trackers of tracker_info.txt. */
  readonly others: readonly TrackerAddress[];
  readonly log: Logger;
}

/**
 * Opens the registry of that data directory. A damaged one is set aside if another tracker serves that can supply all rows.
 * A missing one is treated the same way. The registry opened then is incomplete (see SqliteRegistry.incomplete).
 *
 * @throws MiniTorrentError REGISTRY_DAMAGED if no other tracker serves, with what can be done
 * @throws whatever SqliteRegistry.open throws besides
 */
export async function openRegistry(
  folder: RegistryFolder,
  options: Omit<SqliteRegistryOptions, "path" | "checkMs" | "incomplete">,
): Promise<SqliteRegistry> {
  const { dataDir, others, log } = folder;
  const path = join(dataDir, REGISTRY_FILE);
  const suspectPath = join(dataDir, SUSPECT_FILE);
  const hasRun = hasIdentity(dataDir);
  if (hasRun && !existsSync(path)) {
    if (others.length === 0) throw refusal(`${path} is missing, although this tracker has run before.`);
    log.warn("the registry is missing; clients wait until it has come from another tracker");
    return SqliteRegistry.open({ ...options, path, incomplete: "{}" });
  }
  try {
    if (hasRun && statSync(path).size === 0) {
      throw new MiniTorrentError("REGISTRY_DAMAGED", `${path} is damaged (it is empty).`);
    }
    const isSuspect = existsSync(suspectPath);
    const registry = SqliteRegistry.open({ ...options, path, ...(isSuspect ? { checkMs: Infinity } : {}) });
    rmSync(suspectPath, { force: true });
    if (!registry.isIncomplete || others.length > 0) return registry;
    registry.close();
    throw refusal(`${path} replaced a damaged registry and is not complete yet.`);
  } catch (error) {
    if (!(error instanceof MiniTorrentError && error.code === "REGISTRY_DAMAGED")) throw error;
    const from = await servingTracker(others);
    if (from === undefined) throw refusal(error.message, error);
    const loss = { kept: setAside(path), vector: vectorOf(path) };
    loss.vector ??= vectorOf(loss.kept);
    log.error(
      { err: error, kept: loss.kept, from },
      "the registry is damaged; it was set aside, and clients wait until it has come from another tracker",
    );
    const registry = SqliteRegistry.open({ ...options, path, incomplete: JSON.stringify(loss) });
    rmSync(suspectPath, { force: true });
    return registry;
  }
}

/** Notes damage, so that the next start checks the whole registry. */
export function suspect(dataDir: string): void {
  writePrivate(join(dataDir, SUSPECT_FILE), "damage was met while it was in use\n");
}

/** Logs which rows were lost with a registry that was set aside, once all rows of the others have arrived. */
export function reportLoss(incomplete: string, here: VersionVector, log: Logger): void {
  const { kept, vector } = lossSchema.parse(JSON.parse(incomplete));
  if (kept === undefined) return;
  if (vector === undefined) {
    log.error({ kept }, "what only the damaged registry had is lost, and cannot be told; it is kept");
    return;
  }
  let rows = 0;
  for (const [origin, seq] of Object.entries(vector)) rows += Math.max(0, seq - (here[origin] ?? 0));
  if (rows > 0) log.error({ kept, rows }, "rows that only the damaged registry had are lost; it is kept");
  else log.warn({ kept }, "nothing is lost with the damaged registry; it is kept, and may be removed");
}

function refusal(what: string, cause?: unknown): MiniTorrentError {
  return new MiniTorrentError(
    "REGISTRY_DAMAGED",
    `${what} Start this tracker while another tracker serves, to get everything from it, or restore a backup of its data ` +
      "directory (docs/operations.md, A damaged registry).",
    { cause },
  );
}

/** @returns where it is now */
function setAside(path: string): string {
  const kept = `${path}.damaged-${new Date().toISOString().replaceAll(/[-:.]/g, "")}`;
  for (const suffix of SUFFIXES) if (existsSync(path + suffix)) renameDurably(path + suffix, kept + suffix);
  return kept;
}

/** The version vector of a registry; undefined if it cannot be read. */
function vectorOf(path: string): Record<string, number> | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    const rows = database.prepare("SELECT origin, seq FROM version WHERE seq > 0").all();
    const vector = Object.fromEntries(rows.map(({ origin, seq }) => [origin, seq]));
    return lossSchema.shape.vector.parse(vector);
  } catch {
    return undefined; // it is damaged, after all
  } finally {
    database?.close();
  }
}

/** The first of the trackers that serves clients, by what it says of itself. */
async function servingTracker(trackers: readonly TrackerAddress[]): Promise<string | undefined> {
  const answers = await Promise.all(trackers.map((tracker) => isServing(tracker)));
  const index = answers.indexOf(true);
  const tracker = trackers[index];
  return tracker && formatAddress(tracker);
}

/** Not authenticated: its key is verified before a row is accepted from it. */
function isServing({ host, port }: TrackerAddress): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { host, port, path: "/health", rejectUnauthorized: false, agent: false };
    const request = get({ ...options, timeout: ASK_TIMEOUT_MS }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
        if (body.length > MAX_HEALTH_BYTES) request.destroy();
      });
      response.on("end", () => resolve(saysItServes(body)));
      response.on("error", () => resolve(false));
      response.on("close", () => resolve(false));
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(false));
  });
}

function saysItServes(body: string): boolean {
  try {
    return healthSchema.safeParse(JSON.parse(body)).success;
  } catch {
    return false; // not JSON: no tracker
  }
}
