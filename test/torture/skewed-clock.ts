// Loaded before a program's own code (`--import`): its wall clock is wrong by that many milliseconds, while timers and
// other processes go on as they are. With TORTURE_SKEW_FILE a test sets the clock while the program runs: by what the file
// says.
import { readFileSync } from "node:fs";

const LOOK_INTERVAL_MS = 50;

const path = process.env.TORTURE_SKEW_FILE;
const right = Date.now;
let skewMs = Number(process.env.TORTURE_SKEW_MS ?? 0);
Date.now = () => right() + skewMs;
if (path !== undefined) {
  const look = () => {
    skewMs = Number(readFileSync(path, "utf8"));
  };
  look();
  setInterval(look, LOOK_INTERVAL_MS).unref();
}
