// Lifetimes of members' certificates, the allowed error of clocks, and what follows from both, for all modules that issue,
// check or revoke certificates.

const MINUTE_MS = 60 * 1000;

/** Validity of a member's certificate: a peer that no tracker reaches refuses a removed member after this time. */
export const MEMBER_CERTIFICATE_LIFETIME_MS = 60 * MINUTE_MS;

/** Largest allowed error of any tracker's or client's clock, ahead or behind (docs/operations.md). */
export const ALLOWED_CLOCK_SKEW_MS = 10 * MINUTE_MS;

/**
 * Clocks that decide whether a certificate of an ended membership is still refused, each off in the worst direction:
 * the issuing tracker is ahead, so the certificate expires later; the checking peer is behind, so it counts as valid for
 * longer; the tracker that recorded the end is behind, so the end seems longer ago; and the tracker that
 * lists ended memberships is ahead, so it forgets them earlier.
 */
const CLOCKS_INVOLVED = 4;

/**
 * How long the end of a membership is listed after its recorded time: until no certificate of that membership can
 * be valid by any allowed clock. 100 minutes.
 */
export const REVOCATION_LISTED_MS = MEMBER_CERTIFICATE_LIFETIME_MS + CLOCKS_INVOLVED * ALLOWED_CLOCK_SKEW_MS;
