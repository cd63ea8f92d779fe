// Certificate requests (PKCS #10, RFC 2986): how a client proves that it holds the key that a certificate is for,
// without the key itself. A device's own key needs none: TLS shows it.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { PemConverter, Pkcs10CertificateRequest, Pkcs10CertificateRequestGenerator } from "@peculiar/x509";
import { MiniTorrentError } from "../api/errors.ts";

const KEY_ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNING_ALGORITHM = { name: "ECDSA", hash: "SHA-256" } as const;

/** A fresh key, and the request for a certificate of it. */
export interface CertificateRequest {
  readonly requestPem: string;
  /** PKCS #8. */
  readonly privateKeyPem: string;
}

export async function createCertificateRequest(): Promise<CertificateRequest> {
  const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ["sign", "verify"]);
  const request = await Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: SIGNING_ALGORITHM,
  });
  const privateKey = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    requestPem: request.toString("pem"),
    privateKeyPem: PemConverter.encode(privateKey, "PRIVATE KEY"),
  };
}

/**
 * The public key of a request (SPKI, DER). The name that the request asks for does not matter: the issuer knows it.
 *
 * @throws MiniTorrentError INVALID_ARGUMENT if it is no request, or not signed with the key that it is for
 */
export async function readCertificateRequest(requestPem: string): Promise<Uint8Array> {
  try {
    const request = new Pkcs10CertificateRequest(requestPem);
    if (await request.verify()) return new Uint8Array(request.publicKey.rawData);
  } catch (error) {
    throw new MiniTorrentError(
      "INVALID_ARGUMENT",
      "The certificate request is not of the form of PKCS #10.",
      {
        cause: error,
      },
    );
  }
  throw new MiniTorrentError("INVALID_ARGUMENT", "The certificate request is not signed with its own key.");
}
