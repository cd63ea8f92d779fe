import assert from "node:assert/strict";
import {
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  X509Certificate,
} from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import tls from "node:tls";
import { Name } from "@peculiar/asn1-x509";
import {
  createDeviceIdentity,
  createGroupAuthority,
  type DeviceIdentity,
  deviceIdOfKey,
  fingerprintOf,
  fingerprintOfPem,
  type GroupAuthority,
  issueMemberCertificate,
  publicKeySpkiOf,
  readMemberCertificate,
  restoreDeviceIdentity,
} from "../../../src/identity/certificates.ts";
import { namesKeyOf, sealNames } from "../../../src/identity/member-names.ts";
import { DN_QUALIFIER, nameOf, parseCertificate, signCertificate } from "../../../src/identity/x509.ts";

const infoHash = "0123456789abcdef0123456789abcdef01234567";
const nowMs = Date.now();

const derOf = (pem: string): Uint8Array => new X509Certificate(pem).raw;

async function member(
  authority: GroupAuthority,
  userId: string,
  device?: DeviceIdentity,
): Promise<{ key: string; cert: string; device: DeviceIdentity }> {
  const identity = device ?? (await createDeviceIdentity());
  const { certificatePem } = await issueMemberCertificate({
    authority,
    userId,
    membershipId: "7e1c5a3e-0000-4000-8000-000000000001",
    publicKeySpki: identity.publicKeySpki,
    nowMs,
  });
  return { key: identity.privateKeyPem, cert: certificatePem, device: identity };
}

/** A member's listener as a client has it: the group is chosen by SNI, nobody speaks without its certificate. */
async function listen(t: TestContext, authority: GroupAuthority, userId: string) {
  const { key, cert, device } = await member(authority, userId);
  const context = tls.createSecureContext({
    key,
    cert,
    ca: authority.certificatePem,
    minVersion: "TLSv1.3",
  });
  const server = tls.createServer({
    minVersion: "TLSv1.3",
    // On the server: OpenSSL does not take cipher suites from the context that SNI chooses.
    ciphers: "TLS_AES_128_GCM_SHA256",
    requestCert: true,
    rejectUnauthorized: true,
    SNICallback: (name, done) =>
      name === infoHash ? done(null, context) : done(new Error("no such torrent")),
  });
  const greeted: string[] = [];
  server.on("secureConnection", (socket) => {
    const certificate = socket.getPeerX509Certificate();
    assert.ok(certificate);
    greeted.push(readMemberCertificate(certificate.raw, namesKeyOf(authority.privateKeyPem)).userId);
    socket.on("error", () => socket.destroy());
    socket.end("welcome");
  });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, greeted, device };
}

/** What the listener says; undefined if it refuses. */
async function dial(
  port: number,
  authority: GroupAuthority,
  identity?: { key: string; cert: string },
): Promise<{ said: string; cipher: string; peer: Uint8Array } | undefined> {
  const socket = tls.connect({
    port,
    host: "127.0.0.1",
    servername: infoHash,
    ca: authority.certificatePem,
    minVersion: "TLSv1.3",
    checkServerIdentity: () => undefined,
    ...identity,
  });
  const facts = new Promise<{ cipher: string; peer: Uint8Array }>((resolve) => {
    socket.once("secureConnect", () => {
      const peer = socket.getPeerX509Certificate()?.raw ?? new Uint8Array();
      resolve({ cipher: socket.getCipher().standardName, peer });
    });
  });
  let said = "";
  socket.on("data", (chunk) => {
    said += String(chunk);
  });
  // A refusal shows as an error here or, in TLS 1.3, after the dialler's own handshake is done.
  socket.on("error", () => socket.destroy());
  await new Promise((resolve) => socket.once("close", resolve));
  return said === "" ? undefined : { said, ...(await facts) };
}

test("members of one group meet over TLS 1.3 and know each other by certificate", async (t) => {
  const authority = await createGroupAuthority();
  const { port, greeted, device } = await listen(t, authority, "alice");
  const outcome = await dial(port, authority, await member(authority, "bob"));
  assert.equal(outcome?.said, "welcome");
  assert.equal(outcome.cipher, "TLS_AES_128_GCM_SHA256");
  assert.deepEqual(greeted, ["bob"]);
  const alice = readMemberCertificate(outcome.peer, namesKeyOf(authority.privateKeyPem));
  assert.equal(alice.userId, "alice");
  assert.equal(alice.deviceId, device.deviceId);
});

test("a certificate of another group, a group of the same name and no certificate are refused", async (t) => {
  const authority = await createGroupAuthority();
  const { port, greeted } = await listen(t, authority, "alice");
  for (const other of [await createGroupAuthority(), await createGroupAuthority()]) {
    assert.equal(await dial(port, authority, await member(other, "mallory")), undefined);
  }
  const { privateKeyPem, certificatePem } = await createDeviceIdentity();
  assert.equal(await dial(port, authority, { key: privateKeyPem, cert: certificatePem }), undefined);
  assert.equal(await dial(port, authority), undefined);
  assert.deepEqual(greeted, []);
});

test("a member cannot issue certificates with their own", async (t) => {
  const authority = await createGroupAuthority();
  const { port } = await listen(t, authority, "alice");
  const bob = await member(authority, "bob");
  const mallory = await member({ certificatePem: bob.cert, privateKeyPem: bob.key }, "mallory");
  const chain = { key: mallory.key, cert: `${mallory.cert}\n${bob.cert}` };
  assert.equal(await dial(port, authority, chain), undefined);
  assert.ok(await dial(port, authority, bob));
});

test("a dialler refuses a listener whose certificate another group issued", async (t) => {
  const authority = await createGroupAuthority();
  const { port } = await listen(t, authority, "alice");
  const books = await createGroupAuthority();
  assert.equal(await dial(port, books, await member(authority, "bob")), undefined);
});

test("names survive as they are, whatever they look like", async () => {
  const authority = await createGroupAuthority();
  const device = await createDeviceIdentity();
  for (const userId of [
    "alice@example.org",
    "Zoë",
    "李雷",
    "a,b=c+d",
    "#414141",
    'say "hi"\\0a',
    "a".repeat(64),
  ]) {
    const { cert } = await member(authority, userId, device);
    assert.equal(readMemberCertificate(derOf(cert), namesKeyOf(authority.privateKeyPem)).userId, userId);
  }
});

test("outsiders read no name in a member's certificate, and all names are of one length", async () => {
  const authority = await createGroupAuthority();
  const lengths = new Set<number>();
  for (const userId of ["alice", "\u{1F600}".repeat(64)]) {
    const der = derOf((await member(authority, userId)).cert);
    const { subject, issuer } = new X509Certificate(der);
    assert.match(subject, /^CN=miniTorrent member\ndnQualifier=([A-Za-z0-9/]|\\\+){464}$/);
    assert.equal(issuer, "CN=miniTorrent group");
    assert.equal(Buffer.from(der).includes("alice"), false);
    const other = await createGroupAuthority();
    assert.throws(() => readMemberCertificate(der, namesKeyOf(other.privateKeyPem)), {
      code: "PEER_REFUSED",
    });
    lengths.add(subject.replaceAll("\\", "").length);
  }
  assert.equal(lengths.size, 1);
});

test("a torrent, with the group's CA certificate in it, opens no name either", async () => {
  const authority = await createGroupAuthority();
  const { subject } = new X509Certificate(derOf((await member(authority, "alice")).cert));
  const sealed = Buffer.from(subject.split("dnQualifier=")[1]?.replaceAll("\\", "") ?? "", "base64");
  assert.equal(sealed.length, 12 + 320 + 16);
  const opensWith = (key: Buffer): boolean => {
    const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12));
    decipher.setAuthTag(sealed.subarray(-16)).update(sealed.subarray(12, -16));
    try {
      decipher.final();
      return true;
    } catch {
      return false;
    }
  };
  assert.equal(opensWith(Buffer.from(namesKeyOf(authority.privateKeyPem), "hex")), true);
  const { certificatePem } = authority;
  const known = [
    Buffer.from(certificatePem),
    derOf(certificatePem),
    new X509Certificate(certificatePem).publicKey,
  ];
  for (const part of known) {
    const bytes =
      Buffer.isBuffer(part) || part instanceof Uint8Array
        ? part
        : part.export({ type: "spki", format: "der" });
    for (const purpose of ["", "miniTorrent names of members", "miniTorrent names of members\0"]) {
      assert.equal(opensWith(createHash("sha256").update(purpose).update(bytes).digest()), false);
      assert.equal(opensWith(Buffer.from(hkdfSync("sha256", bytes, "", purpose, 32))), false);
    }
  }
});

test("a member's certificate holds for one hour, begins earlier for clocks that differ, and carries DNS:*", async () => {
  const authority = await createGroupAuthority();
  const device = await createDeviceIdentity();
  const issued = await issueMemberCertificate({
    authority,
    userId: "alice",
    membershipId: "m-1",
    publicKeySpki: device.publicKeySpki,
    nowMs,
  });
  const certificate = new X509Certificate(issued.certificatePem);
  assert.equal(certificate.subjectAltName, "DNS:*");
  assert.equal(certificate.ca, false);
  assert.deepEqual(certificate.keyUsage, ["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"]);
  assert.ok(certificate.validFromDate.getTime() <= nowMs - 1_200_000);
  assert.equal(certificate.validToDate.getTime(), issued.validUntilMs);
  assert.ok(issued.validUntilMs <= nowMs + 3_600_000);
  assert.ok(issued.validUntilMs > nowMs + 3_599_000);
  const read = readMemberCertificate(certificate.raw, namesKeyOf(authority.privateKeyPem));
  assert.deepEqual(read, {
    userId: "alice",
    membershipId: "m-1",
    deviceId: device.deviceId,
    validUntilMs: issued.validUntilMs,
  });
  assert.equal(deviceIdOfKey(device.publicKeySpki), device.deviceId);
});

test("a certificate that is no member's is refused when it is read", async () => {
  const device = await createDeviceIdentity();
  const namesKey = namesKeyOf((await createGroupAuthority()).privateKeyPem);
  for (const der of [new Uint8Array(), Buffer.from("nonsense"), derOf(device.certificatePem)]) {
    assert.throws(() => readMemberCertificate(der, namesKey), { code: "PEER_REFUSED" });
  }
});

test("a key that is not P-256 gets no certificate", async () => {
  const authority = await createGroupAuthority();
  const { generateKeyPairSync } = await import("node:crypto");
  const ed25519 = generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "der" });
  const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey;
  for (const publicKeySpki of [ed25519, p384.export({ type: "spki", format: "der" }), Buffer.from("x")]) {
    assert.throws(
      () => issueMemberCertificate({ authority, userId: "a", membershipId: "m", publicKeySpki, nowMs }),
      { code: "INVALID_ARGUMENT" },
    );
  }
});

test("an identity read back from its files is the same", async () => {
  const device = await createDeviceIdentity();
  assert.deepEqual(restoreDeviceIdentity(device.privateKeyPem, device.certificatePem), device);
  assert.equal(fingerprintOf(derOf(device.certificatePem)), fingerprintOfPem(device.certificatePem));
  assert.match(device.deviceId, /^[0-9a-f]{64}$/);
});

test("the public key in a certificate is what OpenSSL's encoder makes of it", () => {
  const { privateKeyPem, certificatePem } = createDeviceIdentity();
  const spki = createPublicKey(createPrivateKey(privateKeyPem)).export({ type: "spki", format: "der" });
  assert.deepEqual(publicKeySpkiOf(new X509Certificate(certificatePem)), new Uint8Array(spki));
});

const DAY_MS = 24 * 3_600_000;

test("the certificates of a device and of a group outlive their use, and begin before clocks that are behind", () => {
  for (const [pem, days] of [
    [createDeviceIdentity().certificatePem, 36_525],
    [createGroupAuthority().certificatePem, 7_305],
  ] as const) {
    const { validFromDate, validToDate } = new X509Certificate(pem);
    const fromMs = Date.now() - validFromDate.getTime();
    assert.ok(fromMs >= 1_200_000 && fromMs < 1_260_000, `${fromMs} ms ago`);
    const leftDays = (validToDate.getTime() - Date.now()) / DAY_MS;
    assert.ok(Math.abs(leftDays - days) < 1, `${leftDays} days`);
  }
});

test("a group's certificate may sign others and nothing else, a member's and a device's may not", () => {
  const authority = createGroupAuthority();
  const device = createDeviceIdentity();
  const issue = (publicKeySpki: Uint8Array) =>
    issueMemberCertificate({ authority, userId: "a", membershipId: "m", publicKeySpki, nowMs })
      .certificatePem;
  const extensionsOf = (pem: string) =>
    Array.from(
      parseCertificate(derOf(pem)).tbsCertificate.extensions ?? [],
      ({ extnID, critical, extnValue }) => [extnID, critical, Buffer.from(extnValue.buffer).toString("hex")],
    );
  const keyId = createHash("sha1")
    .update(publicKeySpkiOf(new X509Certificate(authority.certificatePem)))
    .digest("hex");
  const [constraints, usage, ids] = ["2.5.29.19", "2.5.29.15", "2.5.29.14"];
  assert.deepEqual(extensionsOf(authority.certificatePem), [
    [constraints, true, "30060101ff020100"],
    [usage, true, "03020204"],
    [ids, false, `0414${keyId}`],
  ]);
  assert.deepEqual(extensionsOf(device.certificatePem), [[constraints, true, "3000"]]);
  assert.deepEqual(extensionsOf(issue(device.publicKeySpki)), [
    [constraints, true, "3000"],
    [usage, true, "03020780"],
    ["2.5.29.37", false, "301406082b0601050507030206082b06010505070301"],
    ["2.5.29.17", false, "300382012a"],
    ["2.5.29.35", false, `30168014${keyId}`],
  ]);
});

test("serial numbers are positive, of sixteen bytes, and never the same", () => {
  const serials = new Set<string>();
  for (let count = 0; count < 20; count++) {
    const { serialNumber } = parseCertificate(derOf(createDeviceIdentity().certificatePem)).tbsCertificate;
    const bytes = Buffer.from(serialNumber);
    assert.equal(bytes.length, 16);
    assert.ok((bytes[0] ?? 0) >= 0x40 && (bytes[0] ?? 0) <= 0x7f);
    serials.add(bytes.toString("hex"));
  }
  assert.equal(serials.size, 20);
});

test("a certificate is text of lines of 64 characters (RFC 7468)", () => {
  const [first, ...lines] = createDeviceIdentity().certificatePem.split("\n");
  assert.equal(first, "-----BEGIN CERTIFICATE-----");
  assert.deepEqual(lines.slice(-2), ["-----END CERTIFICATE-----", ""]);
  const body = lines.slice(0, -2);
  assert.ok(body.slice(0, -1).every((line) => line.length === 64) && (body.at(-1)?.length ?? 0) <= 64);
});

test("each group's CA signs its own members, also when both issue by turns", () => {
  const [one, other] = [createGroupAuthority(), createGroupAuthority()];
  const { publicKeySpki } = createDeviceIdentity();
  for (const authority of [one, other, one]) {
    const request = { authority, userId: "a", membershipId: "m", publicKeySpki, nowMs };
    const certificate = new X509Certificate(issueMemberCertificate(request).certificatePem);
    assert.equal(certificate.verify(new X509Certificate(authority.certificatePem).publicKey), true);
    const namesKey = namesKeyOf(authority.privateKeyPem);
    assert.equal(readMemberCertificate(certificate.raw, namesKey).userId, "a");
  }
});

test("a certificate that was read once with its group's key is not open to another key", () => {
  const authority = createGroupAuthority();
  const { publicKeySpki } = createDeviceIdentity();
  const request = { authority, userId: "a", membershipId: "m", publicKeySpki, nowMs };
  const der = derOf(issueMemberCertificate(request).certificatePem);
  const namesKey = namesKeyOf(authority.privateKeyPem);
  const read = readMemberCertificate(der, namesKey);
  assert.equal(readMemberCertificate(Uint8Array.from(der), namesKey), read, "it is not taken apart again");
  assert.throws(() => readMemberCertificate(der, namesKeyOf(createGroupAuthority().privateKeyPem)), {
    code: "PEER_REFUSED",
  });
});

test("a validity is in whole seconds, and never longer than an hour from now", () => {
  const authority = createGroupAuthority();
  const { publicKeySpki } = createDeviceIdentity();
  const now = 1_750_000_000_999;
  const request = { authority, userId: "a", membershipId: "m", publicKeySpki, nowMs: now };
  const { certificatePem, validUntilMs } = issueMemberCertificate(request);
  assert.equal(validUntilMs, 1_750_003_600_000);
  assert.equal(new X509Certificate(certificatePem).validToDate.getTime(), validUntilMs);
});

test("a certificate of the group that names two members, or none, is not read", () => {
  const authority = createGroupAuthority();
  const namesKey = namesKeyOf(authority.privateKeyPem);
  const sealed = (userId: string) =>
    nameOf({ [DN_QUALIFIER]: sealNames({ userId, membershipId: "m" }, namesKey) });
  const read = (subject: Name) =>
    readMemberCertificate(
      derOf(
        signCertificate(
          {
            ...{ issuer: nameOf({}), subject, publicKeySpki: createDeviceIdentity().publicKeySpki },
            ...{ notBeforeMs: nowMs, notAfterMs: nowMs + 1_000, extensions: [] },
          },
          createPrivateKey(authority.privateKeyPem),
        ),
      ),
      namesKey,
    );
  assert.equal(read(sealed("a")).userId, "a");
  assert.throws(() => read(new Name([...sealed("a"), ...sealed("b")])), { code: "PEER_REFUSED" });
  assert.throws(() => read(nameOf({})), { code: "PEER_REFUSED" });
});
