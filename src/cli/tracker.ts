// Entry point of ./tracker. The program is tracker-program.ts.
import { Tracker, type TrackerOptions } from "../tracker/tracker.ts";
import { runTracker } from "./tracker-program.ts";

const program = { process, console, openTracker: (options: TrackerOptions) => Tracker.open(options) };
process.exitCode = await runTracker(program, process.argv.slice(2));
