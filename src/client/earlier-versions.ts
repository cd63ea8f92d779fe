// Earlier versions of what is shared from this machine: served on, as far as they are still there, while somebody is in the
// middle of them. They are given up at logout.
import { asMiniTorrentError } from "../api/errors.ts";
import type { Farewell } from "../wire/farewell.ts";
import type { ClientContext } from "./client-context.ts";
import { fileKey } from "./file-key.ts";
import type { Serving } from "./serving.ts";

/** A version that nobody was connected for in this time is over. Members who were away longer fetch the newest one. */
const IDLE_MS = 60 * 60_000;
/** Versions of one share beside the newest. Each costs some 200 bytes of memory for each file of a folder. */
const MAX_VERSIONS = 4;

interface Earlier {
  readonly serving: Serving;
  /** On performance.now()'s clock. */
  idleSinceMs: number;
}

export class EarlierVersions {
  readonly #context: Pick<ClientContext, "log" | "session">;
  /** By info-hash, the oldest first. */
  readonly #versions = new Map<string, Earlier>();

  constructor(context: Pick<ClientContext, "log" | "session">) {
    this.#context = context;
  }

  /** Info-hashes. */
  all(): Iterable<string> {
    return this.#versions.keys();
  }

  /** A newer version has taken its place, perhaps on the disk too. */
  async keep(serving: Serving): Promise<void> {
    const { infoHash } = serving;
    this.#versions.set(infoHash, { serving, idleSinceMs: performance.now() });
    const key = keyOf(serving);
    const ofShare = [...this.#versions.values()].filter((one) => keyOf(one.serving) === key);
    for (const { serving: oldest } of ofShare.slice(0, -MAX_VERSIONS)) {
      await this.end(oldest.infoHash, "there are newer versions", { reason: "not-shared" });
    }
    await this.compare(infoHash);
  }

  /** Looks what of it is still as it was; if nothing is, it is over. */
  async compare(infoHash: string): Promise<void> {
    const serving = this.#versions.get(infoHash)?.serving;
    if (serving === undefined) return;
    try {
      const problem = await serving.whyNotAsShared();
      if (problem !== undefined) throw problem;
      if (serving.content.metainfo.kind === "folder") await serving.again();
    } catch (error) {
      this.#context.log.info(
        { err: error, code: asMiniTorrentError(error).code },
        "an earlier version is gone",
      );
      await this.end(infoHash, "its content was replaced", { reason: "changed" });
    }
  }

  /** In the round of looks: a version that nobody fetches is over, and so is what of it is gone. */
  async look(infoHash: string): Promise<void> {
    const version = this.#versions.get(infoHash);
    if (version === undefined) return;
    const nowMs = performance.now();
    const { connections } = this.#context.session.get(infoHash) ?? {};
    if (connections !== undefined && connections.connectedCount > 0) version.idleSinceMs = nowMs;
    if (nowMs - version.idleSinceMs >= IDLE_MS) {
      await this.end(infoHash, "nobody fetches this version any more");
      return;
    }
    const { serving } = version;
    const isGone = (await serving.whyNotAsShared()) !== undefined;
    if (isGone || (await serving.lookInside())) await this.compare(infoHash);
  }

  async end(infoHash: string, reason: string, farewell?: Farewell): Promise<void> {
    const version = this.#versions.get(infoHash);
    this.#versions.delete(infoHash);
    await version?.serving.end(reason, farewell);
  }

  /** Ends those of one share, of one group, or all. */
  async endAll(
    which: { groupId?: string; fileName?: string },
    reason: string,
    farewell?: Farewell,
  ): Promise<void> {
    for (const { serving } of [...this.#versions.values()]) {
      const { groupId, metainfo } = serving.content;
      const isMeant =
        (which.groupId ?? groupId) === groupId && (which.fileName ?? metainfo.fileName) === metainfo.fileName;
      if (isMeant) await this.end(serving.infoHash, reason, farewell);
    }
  }
}

function keyOf({ content: { groupId, metainfo } }: Serving): string {
  return fileKey({ groupId, fileName: metainfo.fileName });
}
