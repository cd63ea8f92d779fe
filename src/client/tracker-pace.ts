// How patient a client is with trackers. Ten thousand clients whose tracker dies are all at the next one in the same
// second, and each handshake costs it a millisecond: who gave up and came again too early would keep it from ever getting
// through them.

/** A tracker that is alive answers well within this on any network that one would share files on. */
export const FIRST_CONNECT_TIMEOUT_MS = 1_500;
/** Patience doubles with each round in vain, up to this. */
export const MAX_CONNECT_TIMEOUT_MS = 24_000;
/** After all trackers were tried in vain: the pause before the next round, half as much more or less by chance. */
export const ROUND_PAUSE_MS = 500;
/** A tracker that vanished without a word is given up after interval + timeout. */
export const HEARTBEAT_INTERVAL_MS = 1_500;
export const HEARTBEAT_TIMEOUT_MS = 1_500;
