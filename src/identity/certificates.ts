// Makes and reads certificates: a device's identity, a group's CA, members' certificates. A member's certificate has the form of
// libtorrent's SSL torrents: subjectAltName DNS:*, issued by the CA in `ssl-cert`. The names in it are encrypted
// (member-names.ts). It does not verify signatures: TLS does (node:tls with the group's CA).
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from "node:crypto";
import {
  type Extension,
  id_kp_clientAuth,
  id_kp_serverAuth,
  KeyUsageFlags,
  type Name,
} from "@peculiar/asn1-x509";
import { BoundedMap } from "../api/bounded-map.ts";
import { MiniTorrentError } from "../api/errors.ts";
import { ALLOWED_CLOCK_SKEW_MS, MEMBER_CERTIFICATE_LIFETIME_MS } from "./certificate-lifetimes.ts";
import { namesKeyOf, openNames, sealNames } from "./member-names.ts";
import {
  authorityKeyIdentifier,
  basicConstraints,
  COMMON_NAME,
  DN_QUALIFIER,
  dnsNames,
  extendedKeyUsage,
  keyUsage,
  nameOf,
  p256SpkiOf,
  parseCertificate,
  signCertificate,
  subjectKeyIdentifier,
  subjectKeyIdIn,
  valuesIn,
} from "./x509.ts";

/** Certificates begin this long before they are issued: the issuer's clock may be ahead, the checking peer's behind. */
const CLOCK_SKEW_ALLOWANCE_MS = 2 * ALLOWED_CLOCK_SKEW_MS;

const YEAR_MS = 365.25 * 24 * 60 * 60 * 1000;
/** A device is known by its key; the certificate only carries the key, and should never expire. */
const DEVICE_CERTIFICATE_LIFETIME_MS = 100 * YEAR_MS;
const AUTHORITY_LIFETIME_MS = 20 * YEAR_MS;
/** Parsed members' certificates to cache: a member shows the same one in every torrent, for an hour. */
const MAX_READ_BEFORE = 1_024;

/** CAs kept ready for signing. */
const MAX_READY_ISSUERS = 1_024;
/** A key identifier is a digest of the key (RFC 5280, 4.2.1.2); it tells keys apart and proves nothing. */
const KEY_ID_DIGEST = "sha1";

/**
 * Signature algorithms that TLS offers and accepts (RFC 8446, 4.2.3): ECDSA with P-256, used by all our keys. So a
 * certificate with any other kind of key fails in the handshake, before this program sees it.
 */
export const TLS_SIGNATURES = "ecdsa_secp256r1_sha256";

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

/** The contents of a member's certificate. */
export interface MemberIdentity {
  readonly userId: string;
  readonly membershipId: string;
  /** SHA-256 of the public key (SPKI, DER), 64 hex digits. */
  readonly deviceId: string;
  readonly validUntilMs: number;
}

/** A new P-256 key with a self-signed certificate of long validity. */
export function createDeviceIdentity(): DeviceIdentity {
  const { privateKey, privateKeyPem, publicKeySpki } = generateKey();
  const nowMs = Date.now();
  const name = nameOf({ [COMMON_NAME]: "miniTorrent device" });
  const certificatePem = signCertificate(
    {
      ...{ issuer: name, subject: name, publicKeySpki },
      notBeforeMs: nowMs - CLOCK_SKEW_ALLOWANCE_MS,
      notAfterMs: nowMs + DEVICE_CERTIFICATE_LIFETIME_MS,
      extensions: [basicConstraints(false)],
    },
    privateKey,
  );
  return { privateKeyPem, publicKeySpki, deviceId: sha256Hex(publicKeySpki), certificatePem };
}

/** A device identity from its stored key and certificate. */
export function restoreDeviceIdentity(privateKeyPem: string, certificatePem: string): DeviceIdentity {
  const publicKeySpki = spkiOf(new X509Certificate(certificatePem).raw);
  return { privateKeyPem, publicKeySpki, deviceId: sha256Hex(publicKeySpki), certificatePem };
}

/** A new CA for a group. All have one name, since TLS reveals it to anybody who connects; their keys differ. */
export function createGroupAuthority(): GroupAuthority {
  const { privateKey, privateKeyPem, publicKeySpki } = generateKey();
  const nowMs = Date.now();
  const name = nameOf({ [COMMON_NAME]: "miniTorrent group" });
  const keyId = createHash(KEY_ID_DIGEST).update(publicKeySpki).digest();
  const certificatePem = signCertificate(
    {
      ...{ issuer: name, subject: name, publicKeySpki },
      notBeforeMs: nowMs - CLOCK_SKEW_ALLOWANCE_MS,
      notAfterMs: nowMs + AUTHORITY_LIFETIME_MS,
      extensions: [basicConstraints(true), keyUsage(KeyUsageFlags.keyCertSign), subjectKeyIdentifier(keyId)],
    },
    privateKey,
  );
  return { certificatePem, privateKeyPem };
}

/**
 * Issues a certificate of the group's CA for the key of a member's device, valid for MEMBER_CERTIFICATE_LIFETIME_MS.
 *
 * @throws MiniTorrentError INVALID_ARGUMENT for a public key that is not P-256
 */
export function issueMemberCertificate(request: MemberCertificateRequest): {
  certificatePem: string;
  validUntilMs: number;
} {
  const { authority, userId, membershipId, nowMs } = request;
  const publicKeySpki = requireP256(request.publicKeySpki);
  const issuer = issuerOf(authority);
  // Times in certificates are whole seconds.
  const validUntilMs = Math.floor((nowMs + MEMBER_CERTIFICATE_LIFETIME_MS) / 1000) * 1000;
  const certificatePem = signCertificate(
    {
      issuer: issuer.name,
      subject: nameOf({
        [COMMON_NAME]: "miniTorrent member",
        [DN_QUALIFIER]: sealNames({ userId, membershipId }, issuer.namesKey),
      }),
      notBeforeMs: nowMs - CLOCK_SKEW_ALLOWANCE_MS,
      notAfterMs: validUntilMs,
      publicKeySpki,
      extensions: issuer.extensions,
    },
    issuer.privateKey,
  );
  return { certificatePem, validUntilMs };
}

/** A group's CA, ready for signing. */
interface Issuer {
  readonly name: Name;
  readonly privateKey: KeyObject;
  readonly namesKey: string;
  /** Extensions of every certificate that it issues. */
  readonly extensions: readonly Extension[];
}

/** By private key. */
const readyIssuers = new BoundedMap<string, Issuer>(MAX_READY_ISSUERS);

function issuerOf({ certificatePem, privateKeyPem }: GroupAuthority): Issuer {
  const known = readyIssuers.get(privateKeyPem);
  if (known !== undefined) return known;
  const certificate = parseCertificate(new X509Certificate(certificatePem).raw);
  const keyId = subjectKeyIdIn(certificate);
  const issuer: Issuer = {
    name: certificate.tbsCertificate.subject,
    privateKey: createPrivateKey(privateKeyPem),
    namesKey: namesKeyOf(privateKeyPem),
    extensions: [
      basicConstraints(false),
      keyUsage(KeyUsageFlags.digitalSignature),
      extendedKeyUsage([id_kp_clientAuth, id_kp_serverAuth]),
      dnsNames(["*"]),
      ...(keyId === undefined ? [] : [authorityKeyIdentifier(keyId)]),
    ],
  };
  readyIssuers.set(privateKeyPem, issuer);
  return issuer;
}

/** By fingerprint and names key: parsing takes 1.5 ms, more than the rest of a handshake. */
const readBefore = new BoundedMap<string, MemberIdentity>(MAX_READ_BEFORE);

/**
 * Reads a peer's certificate, which TLS has verified to be issued by the group's CA.
 *
 * @param der from `getPeerX509Certificate().raw`
 * @param namesKey of the group, from `namesKeyOf`
 * @throws MiniTorrentError PEER_REFUSED if it is not of the form that trackers issue
 */
export function readMemberCertificate(der: Uint8Array, namesKey: string): MemberIdentity {
  const place = `${fingerprintOf(der)} ${namesKey}`;
  const known = readBefore.get(place);
  if (known !== undefined) return known;
  const identity = parseMemberCertificate(der, namesKey);
  readBefore.set(place, identity);
  return identity;
}

function parseMemberCertificate(der: Uint8Array, namesKey: string): MemberIdentity {
  try {
    const { subject, validity } = parseCertificate(der).tbsCertificate;
    return {
      ...openNames(onlyOne(valuesIn(subject, DN_QUALIFIER)), namesKey),
      deviceId: deviceIdOfKey(spkiOf(der)),
      validUntilMs: validity.notAfter.getTime().getTime(),
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

/** The fingerprint of a certificate in PEM. */
export function fingerprintOfPem(certificatePem: string): string {
  return sha256Hex(new X509Certificate(certificatePem).raw);
}

/** The id of the device with that public key (SPKI, DER): its SHA-256, 64 hex digits. */
export function deviceIdOfKey(publicKeySpki: Uint8Array): string {
  return sha256Hex(publicKeySpki);
}

/** The public key (SPKI, DER) in a certificate (DER). */
function spkiOf(der: Uint8Array): Uint8Array {
  return publicKeySpkiOf(new X509Certificate(der));
}

/**
 * The public key (SPKI, DER) of a device's or a tracker's certificate. Only P-256 is accepted, since our own keys are
 * of no other kind; other keys are not examined further.
 *
 * @throws MiniTorrentError PEER_REFUSED for any other kind of key, and for one that cannot be read
 */
export function publicKeySpkiOf(certificate: X509Certificate): Uint8Array {
  let key: KeyObject;
  try {
    key = certificate.publicKey;
  } catch (error) {
    // A key type unknown to OpenSSL, or a point that is not on its curve.
    throw notP256(error);
  }
  const spki = p256SpkiOf(key);
  if (spki === undefined) throw notP256();
  return spki;
}

function notP256(cause?: unknown): MiniTorrentError {
  const sentence = "The certificate's key is not a P-256 key; use the certificate that this program created.";
  return new MiniTorrentError("PEER_REFUSED", sentence, { cause });
}

function sha256Hex(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function onlyOne(values: readonly string[]): string {
  const [value] = values;
  if (value === undefined || value === "" || values.length !== 1) {
    throw new Error(`The subject has ${values.length} values where one is expected.`);
  }
  return value;
}

function generateKey(): { privateKey: KeyObject; privateKeyPem: string; publicKeySpki: Uint8Array } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const publicKeySpki = p256SpkiOf(publicKey);
  if (publicKeySpki === undefined) throw new Error("OpenSSL made a key of another kind.");
  return {
    privateKey,
    privateKeyPem: String(privateKey.export({ type: "pkcs8", format: "pem" })),
    publicKeySpki,
  };
}

function requireP256(spki: Uint8Array): Uint8Array {
  try {
    const known = p256SpkiOf(createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" }));
    if (known !== undefined) return known;
  } catch (error) {
    throw notDeviceKey(error);
  }
  throw notDeviceKey();
}

function notDeviceKey(cause?: unknown): MiniTorrentError {
  return new MiniTorrentError("INVALID_ARGUMENT", "The device's key is not a P-256 key.", { cause });
}
