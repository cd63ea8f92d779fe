// Who is let in after TLS: what the certificate and the handshake must say.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { createGroupAuthority } from "../../../src/identity/certificates.ts";
import type { GroupCredentials } from "../../../src/transport/group-credentials.ts";
import { authenticateMember, checkHandshake } from "../../../src/transport/peer-authentication.ts";
import { encodeHandshake } from "../../../src/wire/handshake.ts";
import { INFO_HASH, member, newPeerId } from "./members.ts";

const NOW_MS = Date.UTC(2026, 0, 31);
const HOUR_MS = 3_600_000;

/** A TLS socket of that peer. */
function shown({ certificatePem }: GroupCredentials, authorized = true) {
  return { authorized, getPeerX509Certificate: () => new X509Certificate(certificatePem) };
}

test("a member is who the certificate names, until its last millisecond", async (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: NOW_MS });
  const authority = createGroupAuthority();
  const [alice, bob] = [await member(authority, "alice"), await member(authority, "bob")];
  const { userId, membershipId, validUntilMs } = authenticateMember(shown(bob), alice);
  assert.deepEqual([userId, membershipId, validUntilMs], ["bob", "m-bob", NOW_MS + HOUR_MS]);
  t.mock.timers.setTime(NOW_MS + HOUR_MS - 1);
  authenticateMember(shown(bob), alice);
  t.mock.timers.setTime(NOW_MS + HOUR_MS);
  assert.throws(() => authenticateMember(shown(bob), alice), {
    code: "PEER_REFUSED",
    message: "The certificate of bob has run out.",
  });
});

test("a peer that TLS did not authorize, or that shows no certificate, is refused whatever else it says", async () => {
  const authority = createGroupAuthority();
  const [alice, bob] = [await member(authority, "alice"), await member(authority, "bob")];
  const none = { authorized: true, getPeerX509Certificate: () => undefined };
  for (const socket of [shown(bob, false), none]) {
    assert.throws(() => authenticateMember(socket, alice), {
      code: "PEER_REFUSED",
      message: "The peer has no certificate of the group.",
    });
  }
});

test("a member whose membership has ended is refused by its id, not by its name", async () => {
  const authority = createGroupAuthority();
  const bob = await member(authority, "bob");
  const knowing = await member(authority, "alice", Date.now(), new Set(["m-bob"]));
  const other = await member(authority, "alice", Date.now(), new Set(["bob"]));
  assert.throws(() => authenticateMember(shown(bob), knowing), {
    code: "PEER_REFUSED",
    message: "bob is no longer a member of the group.",
  });
  assert.equal(authenticateMember(shown(bob), other).userId, "bob");
});

test("a handshake of another torrent, or of this client itself, is refused; one that differs in a byte is not", () => {
  const own = newPeerId();
  const said = (infoHash: string, peerId: Uint8Array): Uint8Array =>
    encodeHandshake({ infoHash, peerId, supportsFast: true, supportsExtensions: false });
  assert.throws(() => checkHandshake(said("cd".repeat(20), newPeerId()), INFO_HASH, own), {
    code: "PEER_REFUSED",
    message: /another torrent/,
  });
  assert.throws(() => checkHandshake(said(INFO_HASH, own), INFO_HASH, own), {
    code: "PEER_REFUSED",
    message: /this client itself/,
  });
  const almost = Uint8Array.from(own);
  almost[19] = (own[19] ?? 0) ^ 1;
  const { peerId, supportsFast, supportsExtensions } = checkHandshake(
    said(INFO_HASH, almost),
    INFO_HASH,
    own,
  );
  assert.deepEqual([peerId, supportsFast, supportsExtensions], [almost, true, false]);
  assert.throws(() => checkHandshake(new Uint8Array(68), INFO_HASH, own), { code: "MALFORMED_MESSAGE" });
});
