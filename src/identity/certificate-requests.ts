// Certificate requests (PKCS #10, RFC 2986): a client proves that it holds the key that a certificate is to certify. For the
// device's own key no request is needed, since TLS proves it.
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { CertificationRequest, CertificationRequestInfo } from "@peculiar/asn1-csr";
import { AsnConvert } from "@peculiar/asn1-schema";
import { Name } from "@peculiar/asn1-x509";
import { MiniTorrentError } from "../api/errors.ts";
import { p256SpkiOf, pemOf, signatureAlgorithm, signed, subjectPublicKeyInfo } from "./x509.ts";

const LABEL = "CERTIFICATE REQUEST";
const PEM = new RegExp(`^\\s*-----BEGIN ${LABEL}-----([A-Za-z0-9+/=\\s]+)-----END ${LABEL}-----\\s*$`);

/** A fresh key, and the request for a certificate of it. */
export interface CertificateRequest {
  readonly requestPem: string;
  /** PKCS #8. */
  readonly privateKeyPem: string;
}

export function createCertificateRequest(): CertificateRequest {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const info = new CertificationRequestInfo({
    subject: new Name(),
    subjectPKInfo: subjectPublicKeyInfo(publicKey.export({ type: "spki", format: "der" })),
  });
  const request = new CertificationRequest({
    certificationRequestInfo: info,
    signatureAlgorithm: signatureAlgorithm(),
    signature: signed(AsnConvert.serialize(info), privateKey),
  });
  return {
    requestPem: pemOf(LABEL, AsnConvert.serialize(request)),
    privateKeyPem: String(privateKey.export({ type: "pkcs8", format: "pem" })),
  };
}

/**
 * The public key of a request (SPKI, DER). The name in the request is ignored: the issuer knows the member.
 *
 * @throws MiniTorrentError INVALID_ARGUMENT if it is no request, or not signed with the P-256 key that it is for
 */
export function readCertificateRequest(requestPem: string): Uint8Array {
  const [, base64] = PEM.exec(requestPem) ?? [];
  if (base64 === undefined) throw notARequest();
  let isSigned: boolean;
  let publicKeySpki: Uint8Array | undefined;
  try {
    const request = AsnConvert.parse(Uint8Array.from(Buffer.from(base64, "base64")), CertificationRequest);
    const { certificationRequestInfo, certificationRequestInfoRaw, signature } = request;
    const spki = Buffer.from(AsnConvert.serialize(certificationRequestInfo.subjectPKInfo));
    const key = createPublicKey({ key: spki, format: "der", type: "spki" });
    publicKeySpki = p256SpkiOf(key);
    const body = Buffer.from(certificationRequestInfoRaw ?? new ArrayBuffer());
    isSigned = verify("sha256", body, key, Buffer.from(signature));
  } catch (error) {
    throw notARequest(error);
  }
  if (isSigned && publicKeySpki !== undefined) return publicKeySpki;
  throw new MiniTorrentError(
    "INVALID_ARGUMENT",
    "The certificate request is not signed with its own P-256 key.",
  );
}

function notARequest(cause?: unknown): MiniTorrentError {
  return new MiniTorrentError("INVALID_ARGUMENT", "The certificate request is not of the form of PKCS #10.", {
    cause,
  });
}
