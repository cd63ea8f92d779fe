// A scene of daemons: trackers, and members with a daemon each, logged in and let into groups, all of it gone when it is disposed
// of. For the demo of the page and for its tests.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DaemonUser } from "./daemons.ts";
import { fillWithFiles, fillWithSharers, openRegistryIn } from "./registry-rows.ts";
import { Scene } from "./scene.ts";
import { until } from "./within.ts";

export const PASSWORD = "correct-horse";

export class DaemonScene implements AsyncDisposable {
  readonly scene: Scene;
  readonly #daemons = new Map<string, { readonly user: DaemonUser; process: ChildProcess }>();

  private constructor(scene: Scene) {
    this.scene = scene;
  }

  static async open(trackerCount: number): Promise<DaemonScene> {
    return new DaemonScene(await Scene.open(trackerCount));
  }

  /** A person whose daemon runs. Nobody is logged in. */
  person(name: string, ...flags: string[]): Promise<DaemonUser> {
    return this.#serve(name, new DaemonUser(this.scene.path(name), this.scene.trackerInfo), flags);
  }

  /** A person whose daemon has never heard of a tracker. */
  stranger(name: string): Promise<DaemonUser> {
    return this.#serve(name, new DaemonUser(this.scene.path(name), ""), []);
  }

  async #serve(name: string, user: DaemonUser, flags: readonly string[]): Promise<DaemonUser> {
    this.#daemons.set(name, { user, process: await user.serve(...flags) });
    return user;
  }

  /** A person who has an account of that name and is logged in. */
  async member(name: string, ...flags: string[]): Promise<DaemonUser> {
    const user = await this.person(name, ...flags);
    const credentials = { userId: name, password: PASSWORD };
    await user.api.call("createUser", credentials);
    await user.api.call("login", credentials);
    return user;
  }

  /** Makes a group of the first, with all the others let in. */
  async group(groupId: string, ownerName: string, ...names: string[]): Promise<void> {
    const owner = this.user(ownerName).api;
    await owner.call("createGroup", { groupId });
    for (const userId of names) {
      await this.user(userId).api.call("joinGroup", { groupId });
      await owner.call("acceptRequest", { groupId, userId });
    }
  }

  user(name: string): DaemonUser {
    return this.#found(name).user;
  }

  /** Ends the daemon: its session stays. */
  async stop(name: string, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const { process } = this.#found(name);
    if (process.exitCode !== null || process.signalCode !== null) return;
    const ended = once(process, "exit");
    process.kill(signal);
    await ended;
  }

  /** Starts a daemon that was stopped. */
  async start(name: string, ...flags: string[]): Promise<void> {
    const daemon = this.#found(name);
    daemon.process = await daemon.user.serve(...flags);
  }

  /**
   * Gives the group so many more shares of the member, names and sizes alone: nobody serves them. The first tracker is away
   * meanwhile, and passes them on to the others when it is back.
   */
  async fillGroup(groupId: string, userId: string, shareCount: number): Promise<void> {
    const { scene } = this;
    await scene.trackers[0]?.kill("SIGTERM");
    const registry = openRegistryIn(scene.path("tracker-1"));
    const group = registry.claim("group", groupId)?.claimId;
    const account = registry.claim("user", userId)?.claimId;
    if (group === undefined || account === undefined)
      throw new Error("The first tracker does not know them.");
    await fillWithFiles(registry, shareCount, [group], account);
    await fillWithSharers(registry, group, account);
    registry.close();
    await scene.startTracker(1);
    await scene.trackersAgree();
    await until(async () => {
      const all = [...this.#daemons.values()].map(({ user }) => user.api.call("status", {}));
      return (await Promise.all(all)).every(({ tracker }) => tracker !== undefined);
    }, "all daemons to be connected again");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#daemons.keys()].map((name) => this.stop(name)));
    await this.scene[Symbol.asyncDispose]();
  }

  #found(name: string): { readonly user: DaemonUser; process: ChildProcess } {
    const daemon = this.#daemons.get(name);
    if (daemon === undefined) throw new Error(`${name} has no daemon.`);
    return daemon;
  }
}

export type Download = Awaited<ReturnType<typeof downloadOf>>;

/** One download of the person, as their daemon reports it. */
export async function downloadOf({ api }: DaemonUser, groupId: string, fileName: string) {
  const all = await api.call("downloads", {});
  const found = all.find((one) => one.groupId === groupId && one.fileName === fileName);
  if (found === undefined) throw new Error(`There is no download of ${fileName}.`);
  return found;
}

/** Looks at the download until that holds. */
export async function downloadUntil(
  user: DaemonUser,
  { groupId, fileName }: { readonly groupId: string; readonly fileName: string },
  holds: (download: Download) => boolean,
): Promise<void> {
  let seen = "";
  await until(
    async () => {
      const download = await downloadOf(user, groupId, fileName);
      seen = JSON.stringify(download);
      return holds(download);
    },
    () => `${fileName} to get so far that ${holds}; it is ${seen}`,
    60_000,
  );
}

/** A path in the person's home folder. */
export function inHome({ home }: DaemonUser, ...parts: string[]): string {
  return join(home, ...parts);
}
