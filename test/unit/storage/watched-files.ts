// The file system's calls that name, move and flush files, written down in order, with faults where a test wants them.
import fsPromises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { basename } from "node:path";
import type { TestContext } from "node:test";

const WATCHED = ["link", "unlink", "rename", "copyFile", "rm"] as const;
type Call = (typeof WATCHED)[number] | "sync" | "open";

export interface WatchedFiles {
  /** As `link film.part film`, `sync film.part`; opening is not written down. */
  readonly calls: string[];
  /** Calls that have begun and not ended: none is left when what made them is over. */
  running: number;
  /** Called before each call, with base names; what it throws, the call throws. */
  before: (call: Call, ...names: string[]) => void | Promise<void>;
}

/** An error of the system, as Node gives it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: made to fail`), { code, errno: -1 });
}

/** Handles that are opened while it watches are watched too. All is as before when the test ends. */
export function watchFiles(t: TestContext): WatchedFiles {
  const watched: WatchedFiles = { calls: [], running: 0, before: () => undefined };
  const real = { ...fsPromises };
  /** Notes the call, and makes it, a turn of the event loop later: whoever does not wait for it is found out. */
  const watch = async <T>(call: Call, paths: readonly unknown[], make: () => Promise<T>): Promise<T> => {
    const names = paths.filter((path) => typeof path === "string").map((path) => basename(path));
    if (call !== "open") watched.calls.push([call, ...names].join(" "));
    watched.running++;
    try {
      await watched.before(call, ...names);
      await new Promise((resolve) => setImmediate(resolve));
      return await make();
    } finally {
      watched.running--;
    }
  };
  for (const call of WATCHED) {
    const callThrough = real[call] as (...args: unknown[]) => Promise<unknown>;
    t.mock.method(fsPromises, call, (...args: unknown[]) =>
      watch(call, args.slice(0, 2), () => callThrough(...args)),
    );
  }
  t.mock.method(fsPromises, "open", async (...args: Parameters<typeof fsPromises.open>) => {
    const handle = await watch("open", args.slice(0, 1), () => real.open(...args));
    const { sync, close } = handle;
    handle.sync = () => watch("sync", [String(args[0])], () => sync.call(handle));
    handle.close = async () => {
      watched.running++;
      await new Promise((resolve) => setImmediate(resolve));
      await close.call(handle);
      watched.running--;
    };
    return handle;
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  return watched;
}

/** The disk has room for so many bytes. */
export function pretendRoom(t: TestContext, room: { bytes: number }): void {
  t.mock.method(fsPromises, "statfs", async () => ({ bavail: room.bytes, blocks: 1e9, bsize: 1 }));
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
}
