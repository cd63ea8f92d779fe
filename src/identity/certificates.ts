// Keys and certificates: a device's identity, a group's authority (CA), a member's certificate of it. The form of a
// member's certificate is libtorrent's for SSL torrents: subjectAltName DNS:*, issued by the CA in `ssl-cert`. It names
// nobody to who is not in the group (member-names.ts).
// Whether a certificate is genuine is TLS's to check (node:tls with the group's CA); here certificates are made and read.
import "reflect-metadata";
import {
  createHash,
  createPublicKey,
  type KeyObject,
  randomBytes,
  webcrypto,
  X509Certificate,
} from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
  X509Certificate as X509CertificateReader,
} from "@peculiar/x509";
import { MiniTorrentError } from "../api/errors.ts";
import { ALLOWED_CLOCK_SKEW_MS, MEMBER_CERTIFICATE_LIFETIME_MS } from "./certificate-lifetimes.ts";
import { namesKeyOf, openNames, sealNames } from "./member-names.ts";

/** Certificates begin this long before they are issued: the issuer's clock may be ahead, the checking peer's behind. */
const CLOCK_SKEW_ALLOWANCE_MS = 2 * ALLOWED_CLOCK_SKEW_MS;

/** What an uncompressed point of P-256 has before it in its SubjectPublicKeyInfo (RFC 5480, section 2), 04 the last. */
const P256_SPKI_BEFORE_POINT = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d03010703420004", "hex");
/** x and y of it. */
const P256_POINT_BYTES = 64;
const P256_IN_OPENSSL = "prime256v1";

const YEAR_MS = 365.25 * 24 * 60 * 60 * 1000;
/** A device's key is pinned, not certified: its certificate is only the envelope, and should never run out. */
const DEVICE_CERTIFICATE_LIFETIME_MS = 100 * YEAR_MS;
const AUTHORITY_LIFETIME_MS = 20 * YEAR_MS;
const SERIAL_BYTES = 16;
/** Members' certificates whose content is remembered: one member shows the same in every torrent, for an hour. */
const MAX_READ_BEFORE = 1_024;

/** P-256 with SHA-256: in TLS 1.3 everywhere, small, and fast in OpenSSL. */
const KEY_ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNING_ALGORITHM = { name: "ECDSA", hash: "SHA-256" } as const;

/**
 * Signature algorithms that TLS offers and accepts (RFC 8446, 4.2.3): ECDSA with P-256, used by all our keys. So a
 * certificate with any other kind of key fails in the handshake, before this program sees it.
 */
export const TLS_SIGNATURES = "ecdsa_secp256r1_sha256";

/** Attribute types of X.520. */
const COMMON_NAME = "2.5.4.3";
const DN_QUALIFIER = "2.5.4.46";

/** A device's key, and the self-signed certificate that it shows trackers (a tracker: clients and other trackers). */
export interface DeviceIdentity {
  /** PKCS #8. */
  readonly privateKeyPem: string;
  /** DER. */
  readonly publicKeySpki: Uint8Array;
  /** SHA-256 of the public key (SPKI, DER), 64 hex digits. */
  readonly deviceId: string;
  readonly certificatePem: string;
}

/** A group's certificate authority. */
export interface GroupAuthority {
  readonly certificatePem: string;
  /** PKCS #8. */
  readonly privateKeyPem: string;
}

export interface MemberCertificateRequest {
  readonly authority: GroupAuthority;
  readonly userId: string;
  readonly membershipId: string;
  /** The device's public key, DER. */
  readonly publicKeySpki: Uint8Array;
  readonly nowMs: number;
}

/** Who a member's certificate speaks of. */
export interface MemberIdentity {
  readonly userId: string;
  readonly membershipId: string;
  /** SHA-256 of the public key (SPKI, DER), 64 hex digits. */
  readonly deviceId: string;
  readonly validUntilMs: number;
}

/** A new P-256 key with a self-signed certificate of long validity. */
export async function createDeviceIdentity(): Promise<DeviceIdentity> {
  const keys = await generateKeys();
  const nowMs = Date.now();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    keys,
    serialNumber: randomSerial(),
    name: structuredName({ [COMMON_NAME]: "miniTorrent device" }),
    notBefore: new Date(nowMs - CLOCK_SKEW_ALLOWANCE_MS),
    notAfter: new Date(nowMs + DEVICE_CERTIFICATE_LIFETIME_MS),
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [new BasicConstraintsExtension(false, undefined, true)],
  });
  const publicKeySpki = new Uint8Array(await webcrypto.subtle.exportKey("spki", keys.publicKey));
  return {
    privateKeyPem: await exportPrivateKey(keys.privateKey),
    publicKeySpki,
    deviceId: sha256Hex(publicKeySpki),
    certificatePem: certificate.toString("pem"),
  };
}

/** The identity whose two files are read back. */
export function restoreDeviceIdentity(privateKeyPem: string, certificatePem: string): DeviceIdentity {
  const publicKeySpki = spkiOf(new X509Certificate(certificatePem).raw);
  return { privateKeyPem, publicKeySpki, deviceId: sha256Hex(publicKeySpki), certificatePem };
}

/** A new CA for a group. All have one name, since TLS reveals it to anybody who connects; their keys differ. */
export async function createGroupAuthority(): Promise<GroupAuthority> {
  const keys = await generateKeys();
  const nowMs = Date.now();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    keys,
    serialNumber: randomSerial(),
    name: structuredName({ [COMMON_NAME]: "miniTorrent group" }),
    notBefore: new Date(nowMs - CLOCK_SKEW_ALLOWANCE_MS),
    notAfter: new Date(nowMs + AUTHORITY_LIFETIME_MS),
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    certificatePem: certificate.toString("pem"),
    privateKeyPem: await exportPrivateKey(keys.privateKey),
  };
}

/**
 * A certificate of the group's CA that says which member's device has that key, for MEMBER_CERTIFICATE_LIFETIME_MS.
 *
 * @throws MiniTorrentError INVALID_ARGUMENT for a public key that is not P-256
 */
export async function issueMemberCertificate(
  request: MemberCertificateRequest,
): Promise<{ certificatePem: string; validUntilMs: number }> {
  const { authority, userId, membershipId, publicKeySpki, nowMs } = request;
  const publicKey = await importPublicKey(publicKeySpki);
  const issuer = new X509CertificateReader(authority.certificatePem);
  // Certificates count in whole seconds.
  const validUntilMs = Math.floor((nowMs + MEMBER_CERTIFICATE_LIFETIME_MS) / 1000) * 1000;
  const certificate = await X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject: structuredName({
      [COMMON_NAME]: "miniTorrent member",
      [DN_QUALIFIER]: sealNames({ userId, membershipId }, namesKeyOf(authority.privateKeyPem)),
    }),
    issuer: issuer.subjectName,
    notBefore: new Date(nowMs - CLOCK_SKEW_ALLOWANCE_MS),
    notAfter: new Date(validUntilMs),
    publicKey,
    signingKey: await importPrivateKey(authority.privateKeyPem),
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth, ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([{ type: "dns", value: "*" }]),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { certificatePem: certificate.toString("pem"), validUntilMs };
}

/** By fingerprint and names key. Parsing costs 1.5 ms, more than the rest of a handshake. */
const readBefore = new Map<string, MemberIdentity>();

/**
 * Reads the certificate that a peer showed; TLS has checked already that the group's CA issued it.
 *
 * @param der as `getPeerX509Certificate().raw` has it
 * @param namesKey of the group, from `namesKeyOf`
 * @throws MiniTorrentError PEER_REFUSED if it is not of the form that trackers issue
 */
export function readMemberCertificate(der: Uint8Array, namesKey: string): MemberIdentity {
  const place = `${fingerprintOf(der)} ${namesKey}`;
  const known = readBefore.get(place);
  if (known !== undefined) return known;
  const identity = parseMemberCertificate(der, namesKey);
  const oldest = readBefore.size < MAX_READ_BEFORE ? undefined : readBefore.keys().next().value;
  if (oldest !== undefined) readBefore.delete(oldest);
  readBefore.set(place, identity);
  return identity;
}

function parseMemberCertificate(der: Uint8Array, namesKey: string): MemberIdentity {
  try {
    const certificate = new X509CertificateReader(Uint8Array.from(der));
    const name = certificate.subjectName;
    return {
      ...openNames(onlyOne(name.getField(DN_QUALIFIER)), namesKey),
      deviceId: deviceIdOfKey(spkiOf(der)),
      validUntilMs: certificate.notAfter.getTime(),
    };
  } catch (error) {
    throw new MiniTorrentError("PEER_REFUSED", "The peer's certificate is not one that a tracker issues.", {
      cause: error,
    });
  }
}

/** SHA-256 of a certificate (DER), 64 hex digits: what tracker_info.txt pins. */
export function fingerprintOf(der: Uint8Array): string {
  return sha256Hex(der);
}

/** The fingerprint of a certificate that is at hand as PEM. */
export function fingerprintOfPem(certificatePem: string): string {
  return sha256Hex(new X509Certificate(certificatePem).raw);
}

/** Whose device a public key (SPKI, DER) is: its SHA-256, 64 hex digits. */
export function deviceIdOfKey(publicKeySpki: Uint8Array): string {
  return sha256Hex(publicKeySpki);
}

/** The public key (SPKI, DER) in a certificate (DER). */
function spkiOf(der: Uint8Array): Uint8Array {
  return publicKeySpkiOf(new X509Certificate(der));
}

/**
 * The public key (SPKI, DER) of a device's or a tracker's certificate. Only P-256 is accepted, since our own keys are
 * of no other kind; other keys are not examined further. The DER is assembled from the key's
 * point, since OpenSSL's encoder takes five times as long, which would delay thousands of clients connecting at once.
 *
 * @throws MiniTorrentError PEER_REFUSED for any other kind of key, and for one that cannot be read
 */
export function publicKeySpkiOf(certificate: X509Certificate): Uint8Array {
  const { x = "", y = "" } = p256KeyOf(certificate).export({ format: "jwk" });
  const point = Buffer.concat([Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
  if (point.length !== P256_POINT_BYTES) throw notP256();
  return new Uint8Array(Buffer.concat([P256_SPKI_BEFORE_POINT, point]));
}

function p256KeyOf(certificate: X509Certificate): KeyObject {
  let key: KeyObject;
  try {
    key = certificate.publicKey;
  } catch (error) {
    // A key type unknown to OpenSSL, or a point that is not on its curve.
    throw notP256(error);
  }
  if (key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === P256_IN_OPENSSL) return key;
  throw notP256();
}

function notP256(cause?: unknown): MiniTorrentError {
  const sentence = "The certificate's key is not a P-256 key; use the certificate that this program created.";
  return new MiniTorrentError("PEER_REFUSED", sentence, { cause });
}

function sha256Hex(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function randomSerial(): string {
  const serial = randomBytes(SERIAL_BYTES);
  // A serial number is positive (RFC 5280, 4.1.2.2), and not zero.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial.toString("hex");
}

/** Values stand as they are: as text, a name with a comma or a leading '#' would mean something else. */
function structuredName(attributes: Record<string, string>): Name {
  return new Name(
    Object.entries(attributes).map(([type, value]) => ({
      [type]: [type === DN_QUALIFIER ? { printableString: value } : { utf8String: value }],
    })),
  );
}

function onlyOne(values: readonly string[]): string {
  const [value] = values;
  if (value === undefined || value === "" || values.length !== 1) {
    throw new Error(`The subject has ${values.length} values where one is expected.`);
  }
  return value;
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ["sign", "verify"]);
}

async function exportPrivateKey(key: CryptoKey): Promise<string> {
  return PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY");
}

async function importPrivateKey(pem: string): Promise<CryptoKey> {
  const der = PemConverter.decodeFirst(pem);
  return await webcrypto.subtle.importKey("pkcs8", der, KEY_ALGORITHM, false, ["sign"]);
}

async function importPublicKey(spki: Uint8Array): Promise<CryptoKey> {
  try {
    // Through OpenSSL first: it takes nothing but a well-formed key.
    const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
    const der = key.export({ type: "spki", format: "der" });
    return await webcrypto.subtle.importKey("spki", Uint8Array.from(der), KEY_ALGORITHM, true, ["verify"]);
  } catch (error) {
    throw new MiniTorrentError("INVALID_ARGUMENT", "The device's key is not a P-256 key.", { cause: error });
  }
}
