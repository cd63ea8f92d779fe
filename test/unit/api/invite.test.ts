// Invites as text: each is read back as it was, and whatever else is typed is refused with a sentence about it.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { canonicalHost, type TrackerAddress } from "../../../src/api/addresses.ts";
import { MiniTorrentError } from "../../../src/api/errors.ts";
import { idProblem } from "../../../src/api/ids.ts";
import {
  decodeInvite,
  encodeInvite,
  hashOfInviteSecret,
  INVITE_PREFIX,
  type Invite,
  inviteIdOf,
  isInviteText,
  MAX_INVITE_TRACKERS,
  newInviteSecret,
} from "../../../src/api/invite.ts";

const KEY = "0123456789abcdef".repeat(4);
const CLAIM = "0199a1b2c3d4-000001-k3j4h5g6";
const invite: Invite = {
  trackers: [
    { host: "192.0.2.1", port: 9000, fingerprint: KEY },
    { host: "2001:db8::2", port: 65_535 },
    { host: "tracker.example.org", port: 1, fingerprint: KEY },
  ],
  groupId: "films",
  groupClaimId: CLAIM,
  secret: "AAECAwQFBgcICQoLDA0ODw",
};
const text = encodeInvite(invite);

const host = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.constant("fe80::1%eth0"),
  fc.stringMatching(/^[a-z][a-z0-9]{0,20}(\.[a-z][a-z0-9]{0,5}){0,2}$/),
);
const isOneMachines = (host: string) =>
  !/^(0\.0\.0\.0$|22[4-9]\.|2[345]\d\.|::$|ff)/.test(canonicalHost(host));
const trackers = fc.uniqueArray(
  fc
    .record({
      host: host.map(canonicalHost).filter(isOneMachines),
      port: fc.integer({ min: 1, max: 65_535 }),
      fingerprint: fc.option(fc.stringMatching(/^[0-9a-f]{64}$/), { nil: undefined }),
    })
    .map(({ fingerprint, ...address }): TrackerAddress => {
      return fingerprint === undefined ? address : { ...address, fingerprint };
    }),
  { minLength: 1, maxLength: MAX_INVITE_TRACKERS, selector: ({ host, port }) => `${host} ${port}` },
);
const invites: fc.Arbitrary<Invite> = fc.record({
  trackers,
  groupId: fc.oneof(
    fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/),
    fc.constantFrom("фильмы", "映画", "é", "ﾟ").filter((id) => idProblem("group id", id) === undefined),
  ),
  groupClaimId: fc.stringMatching(/^[0-9a-f]{12}-[0-9a-f]{6}-[0-9a-z]{1,32}$/),
  secret: fc
    .uint8Array({ minLength: 16, maxLength: 16 })
    .map((bytes) => Buffer.from(bytes).toString("base64url")),
});

/** The invite's bytes with others in their place, and a checksum that is right. */
function withBytes(change: (body: Buffer) => Buffer): string {
  const body = change(Buffer.from(text.slice(INVITE_PREFIX.length), "base64url").subarray(0, -4));
  const checksum = createHash("sha256").update(body).digest().subarray(0, 4);
  return INVITE_PREFIX + Buffer.concat([body, checksum]).toString("base64url");
}

test("an invite is read back as it was made, and is one word that no shell reads otherwise", () => {
  fc.assert(
    fc.property(invites, (made) => {
      const written = encodeInvite(made);
      assert.match(written, /^minitorrent:[A-Za-z0-9_-]+$/);
      assert.deepEqual(decodeInvite(written), { ...made });
    }),
  );
});

test("white space does not count, as a mail or a terminal breaks long lines", () => {
  const broken = `  ${text.match(/.{1,40}/g)?.join("\r\n ")}\n`;
  assert.deepEqual(decodeInvite(broken), invite);
  assert.equal(isInviteText(broken), true);
});

test("one wrong character, a missing part, or two that changed places is called a typing mistake", () => {
  const letters = "ABCxyz019-_.é ";
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.constantFrom(...letters), (at, letter) => {
      const place = Math.max(at, INVITE_PREFIX.length);
      const typed = text.slice(0, place) + letter + text.slice(place + 1);
      if (typed === text) return;
      assert.throws(() => decodeInvite(typed), { code: "INVALID_INVITE", message: /typing mistake/ });
      assert.throws(() => decodeInvite(text.slice(0, place)), {
        code: "INVALID_INVITE",
        message: /a part of it is missing/,
      });
    }),
  );
  const swapped = text.replace(/(.)(.)(?<!\1\1)$/, "$2$1");
  assert.notEqual(swapped, text);
  assert.throws(() => decodeInvite(swapped), { message: /typing mistake/ });
  assert.throws(() => decodeInvite(`${text}=`), { message: /typing mistake/ });
  assert.throws(() => decodeInvite(text + text), { message: /typing mistake/ });
});

test("what is no invite is told how one begins, and a long text is not read", () => {
  for (const other of ["", "films", "MINITORRENT:abc", "https://example.org/#abc", text.slice(1)]) {
    assert.equal(isInviteText(other), false);
    assert.throws(() => decodeInvite(other), {
      code: "INVALID_INVITE",
      message: "This is not an invite: one begins with minitorrent: and is a single word.",
    });
  }
  assert.throws(() => decodeInvite(INVITE_PREFIX + "A".repeat(1_000_000)), { message: /too long/ });
});

test("the longest invite can be read", () => {
  const name = (index: number) =>
    `${"a".repeat(60)}.${"b".repeat(60)}.${"c".repeat(60)}.${"d".repeat(60)}.x${index}`;
  const longest: Invite = {
    ...invite,
    groupId: "ü".repeat(64),
    groupClaimId: `${"f".repeat(12)}-${"f".repeat(6)}-${"z".repeat(32)}`,
    trackers: Array.from({ length: MAX_INVITE_TRACKERS }, (_, index) => ({
      ...{ host: name(index), port: 9000, fingerprint: KEY },
    })),
  };
  assert.deepEqual(decodeInvite(encodeInvite(longest)), longest);
});

test("an invite of a newer version says that this program is too old", () => {
  const newer = withBytes((body) => Buffer.concat([Buffer.from([2]), body.subarray(1)]));
  assert.throws(() => decodeInvite(newer), {
    code: "INVALID_INVITE",
    message: /newer version of miniTorrent: update/,
  });
});

test("bytes that no invite has are refused, also with a right checksum", () => {
  const damaged = (change: (body: Buffer) => Buffer, message: RegExp) =>
    assert.throws(() => decodeInvite(withBytes(change)), { code: "INVALID_INVITE", message });
  damaged((body) => Buffer.concat([body, Buffer.from([0])]), /something follows it/);
  damaged((body) => body.subarray(0, -1), /it ends too early/);
  damaged((body) => Buffer.from(body.with(18, "-".charCodeAt(0)).with(17, 0)), /damaged/);
  damaged((body) => Buffer.from(body.with(18, "A".charCodeAt(0))), /names no group/);
  damaged((body) => Buffer.from(body.with(18 + CLAIM.length + 2, 0x07)), /group id/);
  const count = 18 + CLAIM.length + 2 + "films".length;
  damaged((body) => Buffer.from(body.with(count, MAX_INVITE_TRACKERS + 1)), /names 17 trackers/);
  damaged((body) => Buffer.concat([body.subarray(0, count), Buffer.from([0])]), /lists no tracker/);
  damaged((body) => Buffer.from(body.with(count + 1, 5)), /unknown kind/);
  damaged((body) => Buffer.from(body.fill(0, count + 2, count + 6)), /stands for all addresses/);
  damaged((body) => Buffer.from(body.fill(0, count + 6, count + 8)), /not a port/);
  const oneTracker = (bytes: number[]) => (body: Buffer) =>
    Buffer.concat([body.subarray(0, count), Buffer.from([1, ...bytes])]);
  damaged(oneTracker([0, 9, ..."127.0.0.1".split("").map((c) => c.charCodeAt(0)), 1, 1]), /one form/);
  damaged(oneTracker([0, 1, "A".charCodeAt(0), 1, 1]), /one form/);
  damaged(oneTracker([6, ...new Array(10).fill(0), 255, 255, 127, 0, 0, 1, 1, 1]), /one form/);
  const twice = [4, 127, 0, 0, 1, 1, 1];
  damaged(
    (body) => Buffer.concat([body.subarray(0, count), Buffer.from([2, ...twice, ...twice])]),
    /listed once/,
  );
});

test("any bytes at all are decoded or refused with a code", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, isCut) => {
      const shown = withBytes((body) =>
        isCut ? Buffer.concat([body.subarray(0, bytes.length), bytes]) : Buffer.from([1, ...bytes]),
      );
      try {
        const read = decodeInvite(shown);
        assert.equal(encodeInvite(read), shown);
      } catch (error) {
        assert.ok(error instanceof MiniTorrentError && error.code === "INVALID_INVITE", String(error));
      }
    }),
  );
});

test("a secret has 128 bits, each is another one, and neither its hash nor the invite's id tells it", () => {
  const [one, two] = [newInviteSecret(), newInviteSecret()];
  assert.notEqual(one, two);
  assert.equal(Buffer.from(one, "base64url").length, 16);
  const hash = createHash("sha256").update(Buffer.from(one, "base64url")).digest("hex");
  assert.equal(hashOfInviteSecret(one), hash);
  assert.equal(inviteIdOf(hash), hash.slice(0, 16));
});
