// Row e: swarms that are less even, each against its own fluid bound: faster hosts, uplinks a quarter of the downlinks, a
// seeder that leaves once one copy is out, leechers that come and go.
import { setTimeout as sleep } from "node:timers/promises";
import { withoutNetworkNamespaces } from "../../harness/requirements.ts";
import { atMost, type Conditions, type Mark, type Row, type RowResult, seconds } from "../report.ts";
import { FILE_NAME, fluidBoundSeconds, type Link } from "../shaped-swarm.ts";
import { type Meanwhile, measureSwarm, type SwarmScene } from "../swarm-download.ts";
import { GROUP } from "../transfer.ts";

const MIB = 1024 ** 2;
const TIMES_BOUND = 1.2;
const MOST_RUNS = 2;
/** A guest is there so long, then gives up what it has, and comes again a second later. */
const STAY_MS = 3000;
const AWAY_MS = 1000;
/** The seeder waits at the most so long for the others to have everything. */
const LEAVE_PATIENCE_MS = 120_000;

interface Kind {
  /** As it stands in figures. */
  readonly key: string;
  readonly work: string;
  readonly seeder: Link;
  readonly leechers: readonly Link[];
  /** Hosts of leechers that come and go. Their uplinks count in the bound as if they were always there. */
  readonly guests?: readonly Link[];
  readonly mebibytes: number;
  readonly meanwhile?: Meanwhile;
}

const even = (megabits: number): Link => ({ send: megabits, receive: megabits });
const times = (count: number, link: Link): Link[] => Array.from({ length: count }, () => link);

const KINDS: readonly Kind[] = [
  {
    key: "fastHosts",
    work: "4 leechers, 200 Mbit/s",
    ...{ seeder: even(200), leechers: times(4, even(200)), mebibytes: 192 },
  },
  {
    key: "slowUplinks",
    work: "8 leechers, 100 down, 25 up",
    ...{ seeder: even(100), leechers: times(8, { send: 25, receive: 100 }), mebibytes: 64 },
  },
  {
    key: "seederLeaves",
    work: "the seeder leaves after one copy",
    ...{ seeder: even(100), leechers: times(8, even(100)), mebibytes: 96, meanwhile: seederLeaves },
  },
  {
    key: "comingAndGoing",
    work: "6 leechers, 2 that come and go",
    ...{ seeder: even(100), leechers: times(6, even(100)), guests: times(2, even(100)) },
    ...{ mebibytes: 96, meanwhile: guestsComeAndGo },
  },
];

export const otherSwarms: Row = {
  name: "e",
  work: "swarms that are less even, each against its bound",
  async run({ folder, runs, isQuick, say }: Conditions): Promise<RowResult> {
    const skipped = withoutNetworkNamespaces();
    if (skipped !== false) return { marks: [], figures: {}, lines: [`not measured: ${skipped}`] };
    const marks: Mark[] = [];
    const figures: Record<string, number | readonly number[]> = {};
    const lines: string[] = [];
    for (const { key, work, seeder, leechers, guests = [], mebibytes, meanwhile } of KINDS) {
      const lengthBytes = (isQuick ? mebibytes / 4 : mebibytes) * MIB;
      const boundSeconds = fluidBoundSeconds(lengthBytes, seeder, leechers, guests);
      const kind = { folder, seeder, leechers, guests, lengthBytes, ...(meanwhile && { meanwhile }) };
      const found = await measureSwarm(kind, Math.min(runs, isQuick ? 1 : MOST_RUNS), (line) =>
        say(`e: ${work}: ${line}`),
      );
      marks.push(atMost(TIMES_BOUND, "×", `the bound: ${work}`, found.lastSeconds / boundSeconds));
      lines.push(`${work}: bound ${seconds(boundSeconds)}, ${found.lines.join("; ")}`);
      for (const [name, value] of Object.entries({ ...found.figures, boundSeconds })) {
        figures[`${key}.${name}`] = value;
      }
    }
    return { marks, figures, lines };
  },
};

async function seederLeaves({ seeder }: SwarmScene): Promise<void> {
  await seeder.event(({ event }) => event === "held-by-others", LEAVE_PATIENCE_MS);
  await seeder.finish();
}

/** In turns, so that there is always somebody new. */
async function guestsComeAndGo({ swarm, guests, whenDone }: SwarmScene): Promise<void> {
  const pause = (ms: number) => sleep(ms, undefined, { signal: whenDone }).catch(() => undefined);
  const visits = guests.map(async (guest, index) => {
    await pause((index * (STAY_MS + AWAY_MS)) / guests.length);
    for (let visit = 0; !whenDone.aborted; visit++) {
      const path = swarm.path(`guest-${index}-${visit}`);
      await guest.must(`download_file ${GROUP} ${FILE_NAME} ${path}`);
      await pause(STAY_MS);
      // Whoever has everything by then shares it; that is given up too.
      await guest.run(`stop_share ${GROUP} ${FILE_NAME}`);
      await guest.must(`cancel ${GROUP} ${FILE_NAME}`);
      await pause(AWAY_MS);
    }
  });
  await Promise.all(visits);
}
