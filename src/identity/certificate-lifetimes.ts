// How long certificates of members hold, how far clocks may be off, and what follows from both. Whoever issues, checks or
// revokes certificates takes these times from here.

const MINUTE_MS = 60 * 1000;

/** How long a member's certificate holds: a peer that no tracker reaches refuses a removed member after that. */
export const MEMBER_CERTIFICATE_LIFETIME_MS = 60 * MINUTE_MS;

/** How far the clock of any machine, tracker or client, may be from the right time, ahead or behind (docs/operations.md). */
export const ALLOWED_CLOCK_SKEW_MS = 10 * MINUTE_MS;

/**
 * Clocks that take part in whether a certificate of an ended membership is still refused, each off in the worst direction:
 * the tracker that issued it is ahead, so it runs out later; the peer that checks it is behind, so it counts as valid for
 * longer; the tracker that noted the end of the membership is behind, so that it seems longer ago; and the tracker that
 * lists ended memberships is ahead, so that it forgets them earlier.
 */
const CLOCKS_INVOLVED = 4;

/**
 * How long the end of a membership is listed, by the time that was noted: until no certificate of that membership can
 * be valid on any clock that is allowed. 100 minutes.
 */
export const REVOCATION_LISTED_MS = MEMBER_CERTIFICATE_LIFETIME_MS + CLOCKS_INVOLVED * ALLOWED_CLOCK_SKEW_MS;
