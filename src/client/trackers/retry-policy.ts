// How patient a client is with trackers. Ten thousand clients whose tracker dies are all at the next one in the same
// second, and each handshake costs it a millisecond: who gave up and came again too early would keep it from ever getting
// through them.

/** A tracker that says nothing for that long may be frozen, or have a long queue: the next one is dialled beside it. */
export const STAGGER_MS = 1_500;
/** How long it is waited for all the same; by then it has served, or turned away, who came first. */
export const DIAL_TIMEOUT_MS = 60_000;
/** Before a tracker that refused is dialled again, half as much more or less by chance; each time twice as long, up to the longest. */
export const FIRST_PAUSE_MS = 500;
export const LONGEST_PAUSE_MS = 2_000;
/** So many times the pause while another one has not answered yet: a dial costs this side more than it is likely to bring. */
export const WAITING_FACTOR = 4;
/** A tracker that owes an answer and has been silent that long is asked whether it is there. */
export const HEARTBEAT_ASKED_MS = 1_500;
/** And one that owes none; before the tracker itself would ask (server.ts, PING_AFTER_MS): one question serves both ways. */
export const HEARTBEAT_IDLE_MS = 3_500;
/** Given up, without an answer to that. */
export const HEARTBEAT_TIMEOUT_MS = 1_500;
/** Longest refusal that the client waits out by itself; a longer one is reported to the user. */
export const LONGEST_TOLD_WAIT_MS = 30_000;
/** Lower bound, whatever the tracker says, so that it cannot make a client retry in a tight loop. */
export const LEAST_TOLD_WAIT_MS = 100;
/** A call fails after this much waiting in total: some limit is too low for it. */
export const LONGEST_WAIT_IN_ALL_MS = 600_000;
