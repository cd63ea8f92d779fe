// Timeouts and retry pauses towards trackers. When a tracker dies, its ten thousand clients all dial the next one in the
// same second, and each handshake costs that one a millisecond: clients that gave up and dialled again too early would keep
// it from ever finishing.

/** A tracker that is silent for this long may be frozen or have a long queue: the next one is dialled as well. */
export const STAGGER_MS = 1_500;
/** A dial is given up after this time; by then the tracker has served or refused the clients ahead in its queue. */
export const DIAL_TIMEOUT_MS = 60_000;
/** Pause before dialling again after a refusal, varied at random by half; doubled each time up to the longest. */
export const FIRST_PAUSE_MS = 500;
export const LONGEST_PAUSE_MS = 2_000;
/** Pauses are this many times longer while another dial is in progress, which is more likely to succeed. */
export const WAITING_FACTOR = 4;
/** With a call unanswered, a tracker that has been silent for this long is pinged. */
export const HEARTBEAT_ASKED_MS = 1_500;
/** With no call unanswered. Shorter than the tracker's own PING_AFTER_MS, so that one ping serves both directions. */
export const HEARTBEAT_IDLE_MS = 3_500;
/** A tracker that does not answer a ping within this time is given up. */
export const HEARTBEAT_TIMEOUT_MS = 1_500;
/** Longest refusal that the client waits out by itself; a longer one is reported to the user. */
export const LONGEST_TOLD_WAIT_MS = 30_000;
/** Lower bound, whatever the tracker says, so that it cannot make a client retry in a tight loop. */
export const LEAST_TOLD_WAIT_MS = 100;
/** A call fails after this much waiting in total: some limit is too low for it. */
export const LONGEST_WAIT_IN_ALL_MS = 600_000;
