// Assembles and signs X.509 certificates (RFC 5280) with P-256 keys, ECDSA and SHA-256. certificates.ts decides what each
// certificate contains.
import { createPublicKey, type KeyObject, randomBytes, sign } from "node:crypto";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  KeyIdentifier,
  KeyUsage,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from "@peculiar/asn1-x509";

/** The DER of a SubjectPublicKeyInfo up to its uncompressed P-256 point (RFC 5480, section 2), including the 04. */
const P256_SPKI_BEFORE_POINT = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d03010703420004", "hex");
/** 04, x and y. */
const P256_POINT_BYTES = 65;
const P256_IN_OPENSSL = "prime256v1";
/** RFC 5480: a key on a named curve, and P-256 as the curve. */
const EC_PUBLIC_KEY = "1.2.840.10045.2.1";
const P256_PARAMETERS = Uint8Array.fromHex("06082a8648ce3d030107").buffer;
/** RFC 5758: ECDSA with SHA-256. It has no parameters. */
const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";
const DIGEST = "sha256";
const SERIAL_BYTES = 16;
const PEM_LINE = 64;

/** Attribute types of X.520. */
export const COMMON_NAME = "2.5.4.3";
export const DN_QUALIFIER = "2.5.4.46";

export interface CertificateContent {
  readonly issuer: Name;
  readonly subject: Name;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** DER. */
  readonly publicKeySpki: Uint8Array;
  readonly extensions: readonly Extension[];
}

/**
 * A certificate with a random serial number, as PEM.
 *
 * @param content whose public key is P-256
 * @param signingKey the issuer's private key
 */
export function signCertificate(content: CertificateContent, signingKey: KeyObject): string {
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: randomSerial(),
    signature: signatureAlgorithm(),
    issuer: content.issuer,
    validity: new Validity({
      notBefore: new Date(content.notBeforeMs),
      notAfter: new Date(content.notAfterMs),
    }),
    subject: content.subject,
    subjectPublicKeyInfo: subjectPublicKeyInfo(content.publicKeySpki),
    extensions: new Extensions([...content.extensions]),
  });
  const signatureValue = signed(AsnConvert.serialize(tbsCertificate), signingKey);
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: signatureAlgorithm(),
    signatureValue,
  });
  return pemOf("CERTIFICATE", AsnConvert.serialize(certificate));
}

export function signatureAlgorithm(): AlgorithmIdentifier {
  return new AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 });
}

/** An ECDSA signature in the form of RFC 3279. */
export function signed(bytes: ArrayBuffer, key: KeyObject): ArrayBuffer {
  return Uint8Array.from(sign(DIGEST, Buffer.from(bytes), key)).buffer;
}

/** @param publicKeySpki DER of a P-256 key, from `p256SpkiOf` */
export function subjectPublicKeyInfo(publicKeySpki: Uint8Array): SubjectPublicKeyInfo {
  return new SubjectPublicKeyInfo({
    algorithm: new AlgorithmIdentifier({ algorithm: EC_PUBLIC_KEY, parameters: P256_PARAMETERS }),
    subjectPublicKey: Uint8Array.from(publicKeySpki.subarray(-P256_POINT_BYTES)).buffer,
  });
}

/** Values are not parsed: in the text form of a name, a comma or a leading '#' would have a meaning. */
export function nameOf(attributes: Record<string, string>): Name {
  return new Name(
    Object.entries(attributes).map(([type, value]) => {
      const text = type === DN_QUALIFIER ? { printableString: value } : { utf8String: value };
      return new RelativeDistinguishedName([
        new AttributeTypeAndValue({ type, value: new AttributeValue(text) }),
      ]);
    }),
  );
}

/** The values of that attribute in the name. */
export function valuesIn(name: Name, type: string): string[] {
  return name
    .flatMap((relative) => [...relative])
    .filter((attribute) => attribute.type === type)
    .map(({ value }) => value.toString());
}

export function basicConstraints(isAuthority: boolean): Extension {
  const constraints = isAuthority ? { cA: true, pathLenConstraint: 0 } : {};
  return extension(id_ce_basicConstraints, new BasicConstraints(constraints), true);
}

/** @param flags bits of `KeyUsageFlags` */
export function keyUsage(flags: number): Extension {
  return extension(id_ce_keyUsage, new KeyUsage(flags), true);
}

/** @param purposes object identifiers */
export function extendedKeyUsage(purposes: readonly string[]): Extension {
  return extension(id_ce_extKeyUsage, new ExtendedKeyUsage([...purposes]), false);
}

export function dnsNames(names: readonly string[]): Extension {
  const general = names.map((dNSName) => new GeneralName({ dNSName }));
  return extension(id_ce_subjectAltName, new SubjectAlternativeName(general), false);
}

export function subjectKeyIdentifier(keyId: Uint8Array): Extension {
  return extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(Uint8Array.from(keyId)), false);
}

export function authorityKeyIdentifier(keyId: Uint8Array): Extension {
  const keyIdentifier = new KeyIdentifier(Uint8Array.from(keyId));
  return extension(id_ce_authorityKeyIdentifier, new AuthorityKeyIdentifier({ keyIdentifier }), false);
}

/** The key identifier that a certificate gives its subject; undefined if it gives none. */
export function subjectKeyIdIn({ tbsCertificate }: Certificate): Uint8Array | undefined {
  const found = tbsCertificate.extensions?.find(({ extnID }) => extnID === id_ce_subjectKeyIdentifier);
  return found && new Uint8Array(AsnConvert.parse(found.extnValue.buffer, SubjectKeyIdentifier).buffer);
}

/** @throws Error if it is not of the form of a certificate */
export function parseCertificate(der: Uint8Array): Certificate {
  return AsnConvert.parse(Uint8Array.from(der), Certificate);
}

/**
 * A P-256 key (SPKI, DER) in the one form that this program uses, with the point uncompressed. The DER is assembled from the
 * point, since OpenSSL's encoder takes five times as long, which would delay thousands of clients connecting at once.
 *
 * @returns undefined for any other kind of key
 */
export function p256SpkiOf(key: KeyObject): Uint8Array | undefined {
  if (key.asymmetricKeyType !== "ec" || key.asymmetricKeyDetails?.namedCurve !== P256_IN_OPENSSL)
    return undefined;
  const { x = "", y = "" } = (key.type === "private" ? createPublicKey(key) : key).export({ format: "jwk" });
  const point = Buffer.concat([Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
  if (point.length !== P256_POINT_BYTES - 1) return undefined;
  return new Uint8Array(Buffer.concat([P256_SPKI_BEFORE_POINT, point]));
}

/** RFC 7468. */
export function pemOf(label: string, der: ArrayBuffer): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(new RegExp(`.{1,${PEM_LINE}}`, "g")) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

function extension(extnID: string, value: object, critical: boolean): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

function randomSerial(): ArrayBuffer {
  const serial = Uint8Array.from(randomBytes(SERIAL_BYTES));
  // A serial number is positive (RFC 5280, 4.1.2.2), and not zero.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial.buffer;
}
