// Values that cross between client and tracker: what is just good enough, and what is just not.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import * as schemas from "../../../src/api/schemas.ts";

const HASH = "ab".repeat(20);
const FINGERPRINT = "ab".repeat(32);
const UUID = "7e1c5a3e-0000-4000-8000-000000000001";

const isGood = (schema: z.ZodType, value: unknown): boolean => schema.safeParse(value).success;

const peer = { userId: "bob", deviceId: FINGERPRINT, host: "192.0.2.1", port: 6881, isSeed: true };
const hosts = (count: number): string[] => Array.from({ length: count }, (_, at) => `192.0.2.${at + 1}`);
const certificate = {
  ...{ groupId: "g", groupClaimId: "c", certificatePem: "p", authorityPem: "a", namesKey: FINGERPRINT },
  ...{ validUntilMs: 1, membershipId: "m" },
};
const standing = (count: number) => ({
  content: "same",
  members: Array.from({ length: count }, () => ({ userId: "bob", isMember: true, isOnline: false })),
});

const cases: Record<string, { schema: z.ZodType; good: unknown[]; bad: unknown[] }> = {
  "a password": {
    schema: schemas.credentialsSchema.shape.password,
    good: ["x", "x".repeat(1_024)],
    bad: ["", "x".repeat(1_025), 7],
  },
  "a file name": {
    schema: schemas.fileNameSchema,
    good: ["a", "a".repeat(255)],
    bad: ["", "a".repeat(256)],
  },
  "a SHA-1": {
    schema: schemas.sha1Schema,
    good: [HASH],
    bad: ["", HASH.slice(1), `${HASH}a`, HASH.toUpperCase(), `${HASH}\n`],
  },
  "an info-hash": {
    schema: schemas.infoHashSchema,
    good: [HASH],
    bad: ["", HASH.slice(1), `${HASH}a`, HASH.toUpperCase()],
  },
  "a write attempt": {
    schema: schemas.writeAttemptSchema,
    good: [{ writeId: UUID }, { writeId: UUID, isRetry: true }],
    bad: [{}, { writeId: "1" }, { writeId: UUID, isRetry: "yes" }],
  },
  "a holder": { schema: schemas.holderIdSchema, good: [UUID], bad: ["", "bob"] },
  "an info dictionary": {
    schema: schemas.infoSchema,
    good: ["", "ZGVi"],
    bad: ["a b", "ZGVi".repeat(1_000_000)],
  },
  "a certificate request": {
    schema: schemas.certificateRequestSchema,
    good: ["x".repeat(4_096)],
    bad: ["x".repeat(4_097)],
  },
  "a port": { schema: schemas.portSchema, good: [1, 65_535], bad: [0, 65_536, 1.5, "1"] },
  "a group that is looked up": {
    schema: schemas.namedGroupSchema,
    good: ["", "x".repeat(256)],
    bad: ["x".repeat(257)],
  },
  "an account": {
    schema: schemas.accountSchema,
    good: [{ userId: "bob", accountId: "x".repeat(128) }],
    bad: [
      { userId: "b ob", accountId: "x" },
      { userId: "bob", accountId: "x".repeat(129) },
    ],
  },
  "a place in a list": {
    schema: schemas.pageRequestSchema,
    good: [{}, { after: "x".repeat(1_024) }],
    bad: [{ after: "x".repeat(1_025) }],
  },
  "a page of names": {
    schema: schemas.namePageRequestSchema,
    good: [{ prefix: "x".repeat(1_024) }],
    bad: [{ prefix: "x".repeat(1_025) }],
  },
  "a page": {
    schema: schemas.pageSchema(z.number()),
    good: [{ items: new Array(10_000).fill(1) }, { items: [], next: "x".repeat(1_024) }],
    bad: [{ items: new Array(10_001).fill(1) }, { items: [], next: "x".repeat(1_025) }, { items: ["1"] }],
  },
  "the trackers that have not confirmed a removal": {
    schema: schemas.removalSchema,
    good: [{ unconfirmedTrackers: new Array(1_000).fill("x".repeat(300)) }],
    bad: [{ unconfirmedTrackers: ["x".repeat(301)] }, { unconfirmedTrackers: new Array(1_001).fill("x") }],
  },
  "doubts about shares": {
    schema: schemas.shareDoubtsSchema,
    good: [
      {
        withdrawn: new Array(100).fill("a"),
        unknown: new Array(100).fill("a"),
        updated: new Array(100).fill({ fileName: "a", infoHash: HASH }),
      },
    ],
    bad: [
      { withdrawn: new Array(101).fill("a"), unknown: [], updated: [] },
      { withdrawn: [], unknown: new Array(101).fill("a"), updated: [] },
      { withdrawn: [], unknown: [], updated: new Array(101).fill({ fileName: "a", infoHash: HASH }) },
      { withdrawn: [], unknown: [], updated: [{ fileName: "a", infoHash: "g" }] },
    ],
  },
  "a file's standing": { schema: schemas.fileStandingSchema, good: [standing(21)], bad: [standing(22)] },
  "trackers' keys": {
    schema: schemas.trackerKeysSchema,
    good: [{ fingerprints: new Array(1_000).fill(FINGERPRINT) }],
    bad: [{ fingerprints: [HASH] }, { fingerprints: new Array(1_001).fill(FINGERPRINT) }],
  },
  "a group's certificate": {
    schema: schemas.groupCertificateSchema,
    good: [certificate],
    bad: [
      { ...certificate, namesKey: HASH },
      { ...certificate, membershipId: "m".repeat(129) },
      { ...certificate, groupClaimId: "c".repeat(129) },
    ],
  },
  "a revocation": {
    schema: schemas.revocationSchema,
    good: [{ groupId: "g", membershipId: "m".repeat(128) }],
    bad: [
      { groupId: "g", membershipId: "m".repeat(129) },
      { groupId: "", membershipId: "m" },
    ],
  },
  "a group of one's own": {
    schema: schemas.ownGroupSchema,
    good: [{ groupId: "g", standing: "owner", membershipId: "m".repeat(128) }],
    bad: [
      { groupId: "g", standing: "guest", membershipId: "m" },
      { groupId: "g", standing: "owner", membershipId: "m".repeat(129) },
    ],
  },
  "a peer's address": {
    schema: schemas.peerAddressSchema,
    good: [peer, { ...peer, host: "fe80::1%eth0" }, { ...peer, otherHosts: hosts(4) }],
    bad: [
      { ...peer, host: "localhost" },
      { ...peer, host: `fe80::1%${"e".repeat(60)}` },
      { ...peer, otherHosts: hosts(5) },
      { ...peer, otherHosts: ["example.org"] },
      { ...peer, port: 0 },
    ],
  },
  "an announcement": {
    schema: schemas.announceSchema,
    good: [
      { listenPort: 1, seeding: "", downloading: "" },
      { listenPort: 1, otherHosts: hosts(4), seeding: HASH.repeat(100_000), downloading: "" },
    ],
    bad: [
      { listenPort: 0, seeding: "", downloading: "" },
      { listenPort: 1, otherHosts: hosts(5), seeding: "", downloading: "" },
      { listenPort: 1, seeding: HASH.repeat(100_001), downloading: "" },
      { listenPort: 1, seeding: "", downloading: HASH.repeat(100_001) },
    ],
  },
  "a change of presence": {
    schema: schemas.presenceUpdateSchema,
    good: [{ seeding: HASH.repeat(10_000), downloading: "", over: HASH }],
    bad: [
      { seeding: HASH.repeat(10_001), downloading: "", over: "" },
      { seeding: "", downloading: HASH.repeat(10_001), over: "" },
      { seeding: "", downloading: "", over: HASH.repeat(10_001) },
    ],
  },
  "a tracker's event": {
    schema: schemas.trackerEventSchema,
    good: [
      { type: "look-again" },
      { type: "membership-ended", groupId: "g", how: "left" },
      { type: "files-shared", groupId: "g", count: 3, fileNames: new Array(100).fill("a") },
      { type: "peer-online", infoHash: HASH, peer },
    ],
    bad: [
      { type: "look-away" },
      { type: "membership-ended", groupId: "g", how: "bored" },
      { type: "files-shared", groupId: "g", count: 3, fileNames: new Array(101).fill("a") },
      { type: "peer-online", infoHash: HASH.slice(1), peer },
      { type: "peer-online", infoHash: HASH, peer: { ...peer, host: "localhost" } },
    ],
  },
};

describe("schemas", () => {
  for (const [what, { schema, good, bad }] of Object.entries(cases)) {
    it(`take ${what} up to its limits, and nothing beyond`, () => {
      for (const value of good)
        assert.equal(isGood(schema, value), true, JSON.stringify(value).slice(0, 100));
      for (const value of bad)
        assert.equal(isGood(schema, value), false, JSON.stringify(value).slice(0, 100));
    });
  }

  it("bring what is looked up by name into normal form C", () => {
    assert.equal(schemas.namedGroupSchema.parse("Zoe\u0308"), "Zo\u00EB");
    assert.deepEqual(schemas.namePageRequestSchema.parse({ prefix: "Zoe\u0308" }), { prefix: "Zo\u00EB" });
  });

  it("say what is wrong with a password", () => {
    const problem = (password: string): string | undefined =>
      schemas.credentialsSchema.safeParse({ userId: "bob", password }).error?.issues[0]?.message;
    assert.equal(problem(""), "the password is empty");
    assert.equal(problem("x".repeat(2_000)), "a password has at most 1,024 characters");
  });

  it("allow as much at once as the calls that use them send", () => {
    assert.deepEqual(
      [schemas.MAX_SHARES_CHECKED, schemas.MAX_STANDING_USERS, schemas.MAX_GROUPS_TOGETHER],
      [100, 20, 500],
    );
    assert.deepEqual([schemas.MAX_OTHER_HOSTS, schemas.MOST_NAMED_PEERS], [4, 100]);
  });
});

describe("listOf", () => {
  const list = schemas.listOf(z.object({ n: z.coerce.number().max(5, "too large") }), 3);

  it("gives the elements as their schema makes them", () => {
    assert.deepEqual(list.parse([{ n: "1" }, { n: 2 }, { n: 5 }]), [{ n: 1 }, { n: 2 }, { n: 5 }]);
    assert.deepEqual(list.parse([]), []);
  });

  it("names the first bad element alone, and where it is", () => {
    const { error } = list.safeParse([{ n: 1 }, { n: 6 }, { n: 7 }]);
    assert.deepEqual(
      error?.issues.map(({ message, path }) => [message, path]),
      [["too large", [1, "n"]]],
    );
  });

  it("refuses what is no list, and a longer one without a look at its elements", () => {
    assert.equal(list.safeParse({ length: 1 }).error?.issues[0]?.message, "it must be a list");
    assert.equal(list.safeParse("abc").success, false);
    const messages = list.safeParse(["a", "b", "c", "d"]).error?.issues.map(({ message }) => message);
    assert.deepEqual(messages, ["it has more than 3 elements"]);
  });
});

describe("a file in a shared folder, as a tracker names it", () => {
  const file = { path: "a/b.txt", lengthBytes: 0, isExecutable: false };

  it("has a path that stays in the folder, and a length", () => {
    for (const path of ["a", "a/b.txt", "..a/b..", "é/ü"]) {
      assert.equal(isGood(schemas.insideFileSchema, { ...file, path }), true, path);
    }
    for (const path of ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a", "x".repeat(4_097)]) {
      assert.equal(isGood(schemas.insideFileSchema, { ...file, path }), false, path.slice(0, 20));
    }
    assert.equal(isGood(schemas.insideFileSchema, { ...file, lengthBytes: -1 }), false);
  });
});
