// Loaded before a tracker's own code (`--import`): its wall clock is wrong by that many milliseconds, while timers and
// other processes go on as they are.
const skewMs = Number(process.env.TORTURE_SKEW_MS ?? 0);
const right = Date.now;
Date.now = () => right() + skewMs;
