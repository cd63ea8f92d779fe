import assert from "node:assert/strict";
import { test } from "node:test";
import { MiniTorrentError } from "../../../../src/api/errors.ts";
import {
  LinkRefused,
  linkClosed,
  linkTrouble,
  waitingFor,
} from "../../../../src/tracker/replication/link-trouble.ts";

const ENDS = { name: "192.0.2.9:9000", ownFingerprint: "ab".repeat(32) };
const failed = (code: string): Error => Object.assign(new Error(code), { code });

test("a lack of this machine is not blamed on the other tracker", () => {
  for (const code of ["ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EACCES"]) {
    assert.match(
      linkTrouble(failed(code), ENDS),
      /^192\.0\.2\.9:9000 cannot be reached from this machine: /,
      code,
    );
  }
});

test("a tracker that does not answer, does not listen, or cannot be found is called so", () => {
  for (const error of [
    failed("EHOSTUNREACH"),
    failed("ETIMEDOUT"),
    new Error("Opening handshake has timed out"),
  ]) {
    assert.match(linkTrouble(error, ENDS), /^192\.0\.2\.9:9000 does not answer: /, error.message);
  }
  assert.match(linkTrouble(failed("ECONNREFUSED"), ENDS), /^Nothing listens at 192\.0\.2\.9:9000: start/);
  for (const code of ["ENOTFOUND", "EAI_AGAIN"])
    assert.match(linkTrouble(failed(code), ENDS), /^The host of 192\.0\.2\.9:9000 cannot be found: /, code);
  for (const error of [failed("ECONNRESET"), "ECONNRESET"])
    assert.match(
      linkTrouble(error, ENDS),
      /^The connection to 192\.0\.2\.9:9000 failed \(ECONNRESET\): check/,
    );
});

test("when a name has several addresses, the one that another machine refused is told", () => {
  const both = new AggregateError([failed("ENETUNREACH"), failed("ECONNREFUSED")]);
  assert.match(linkTrouble(both, ENDS), /^Nothing listens at/);
});

test("a tracker that refuses the key is told which key to add; another answer is another program's", () => {
  const refused = linkTrouble(new LinkRefused(403), ENDS);
  assert.match(refused, /^192\.0\.2\.9:9000 refuses this tracker's key\./);
  assert.ok(refused.includes(`'sha256:${ENDS.ownFingerprint}'`), refused);
  const odd = linkTrouble(new LinkRefused(404), ENDS);
  assert.match(odd, /^192\.0\.2\.9:9000 answers with HTTP status 404: another program listens there/);
});

test("an error with a sentence of its own is told with it; a changed key takes a restart too", () => {
  assert.equal(linkTrouble(new MiniTorrentError("PEER_REFUSED", "No certificate."), ENDS), "No certificate.");
  assert.equal(
    linkTrouble(new MiniTorrentError("TRACKER_KEY_CHANGED", "Another key."), ENDS),
    "Another key. Then restart this tracker.",
  );
});

test("a tracker that is dialled is being connected, and one that dials is to be started", () => {
  assert.equal(waitingFor(ENDS, true), "192.0.2.9:9000 is being connected.");
  assert.match(waitingFor(ENDS, false), /^192\.0\.2\.9:9000 connects to this tracker .*: start it\./);
});

test("a link that was closed is told with the reason", () => {
  assert.match(
    linkClosed("192.0.2.9:9000", "nothing heard for 3000 ms"),
    /^The link to 192\.0\.2\.9:9000 was closed \(nothing heard for 3000 ms\); it is opened again\./,
  );
});
