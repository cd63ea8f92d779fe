import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ALLOWED_CLOCK_SKEW_MS,
  MEMBER_CERTIFICATE_LIFETIME_MS,
  REVOCATION_LISTED_MS,
} from "../../../src/identity/certificate-lifetimes.ts";

const MINUTE_MS = 60_000;
const SKEWS_MS = [-10 * MINUTE_MS, 0, 10 * MINUTE_MS];

test("an ended membership is listed for as long as any certificate of it can be valid, on any clocks that are allowed", () => {
  assert.equal(ALLOWED_CLOCK_SKEW_MS, 600_000);
  assert.equal(MEMBER_CERTIFICATE_LIFETIME_MS, 3_600_000);
  assert.equal(REVOCATION_LISTED_MS, 6_000_000);
  // Ended at the right time 0, and a certificate issued in that moment.
  let longestMs = 0;
  for (const issuer of SKEWS_MS) {
    for (const peer of SKEWS_MS) {
      for (const remover of SKEWS_MS) {
        for (const lister of SKEWS_MS) {
          const validUntilMs: number = issuer + 60 * MINUTE_MS - peer;
          const listedUntilMs: number = remover + REVOCATION_LISTED_MS - lister;
          assert.ok(listedUntilMs >= validUntilMs, `${[issuer, peer, remover, lister]}`);
          longestMs = Math.max(longestMs, validUntilMs - remover + lister);
        }
      }
    }
  }
  assert.equal(longestMs, REVOCATION_LISTED_MS, "and no longer");
});
