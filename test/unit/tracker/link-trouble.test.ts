import assert from "node:assert/strict";
import { test } from "node:test";
import { linkTrouble } from "../../../src/tracker/link-trouble.ts";

const ENDS = { name: "192.0.2.9:9000", ownFingerprint: "0".repeat(64) };
const failed = (code: string): Error => Object.assign(new Error(code), { code });

test("what this machine lacks is not blamed on the other tracker", () => {
  for (const code of ["ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EACCES"]) {
    assert.match(
      linkTrouble(failed(code), ENDS),
      /^192\.0\.2\.9:9000 cannot be reached from this machine: /,
      code,
    );
  }
  for (const code of ["EHOSTUNREACH", "ETIMEDOUT"]) {
    assert.match(linkTrouble(failed(code), ENDS), /does not answer/, code);
  }
});

test("of a name's addresses the one that another machine refused is told", () => {
  const both = new AggregateError([failed("ENETUNREACH"), failed("ECONNREFUSED")]);
  assert.match(linkTrouble(both, ENDS), /^Nothing listens at/);
});
