import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { CertificationRequest, CertificationRequestInfo } from "@peculiar/asn1-csr";
import { AsnConvert } from "@peculiar/asn1-schema";
import { Name, SubjectPublicKeyInfo } from "@peculiar/asn1-x509";
import {
  createCertificateRequest,
  readCertificateRequest,
} from "../../../src/identity/certificate-requests.ts";
import { pemOf, signatureAlgorithm } from "../../../src/identity/x509.ts";

test("a request shows the public key of the key that it was made with", () => {
  const { requestPem, privateKeyPem } = createCertificateRequest();
  const publicKey = createPublicKey(createPrivateKey(privateKeyPem)).export({ type: "spki", format: "der" });
  assert.deepEqual(Buffer.from(readCertificateRequest(requestPem)), publicKey);
});

test("a request that somebody put another key into, or that is none, is refused", () => {
  const [one, other] = [createCertificateRequest(), createCertificateRequest()];
  const bytesOf = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64");
  const [mine, theirs] = [bytesOf(one.requestPem), bytesOf(other.requestPem)];
  // Both are laid out alike: the signature begins where the requests' common length ends.
  const key = theirs.indexOf(Buffer.from(readCertificateRequest(other.requestPem)));
  const forged = Buffer.from(mine);
  Buffer.from(readCertificateRequest(other.requestPem)).copy(forged, key);
  const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${forged.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
  assert.throws(() => readCertificateRequest(pem), { code: "INVALID_ARGUMENT" });
  assert.throws(() => readCertificateRequest("anything"), { code: "INVALID_ARGUMENT" });
  assert.throws(() => readCertificateRequest(""), { code: "INVALID_ARGUMENT" });
});

test("a request with a key of another kind is refused, although it is signed with that key", () => {
  const pem = (namedCurve: string): string => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve });
    const spki = Uint8Array.from(publicKey.export({ type: "spki", format: "der" }));
    const info = new CertificationRequestInfo({
      subject: new Name(),
      subjectPKInfo: AsnConvert.parse(spki, SubjectPublicKeyInfo),
    });
    const signature = sign("sha256", Buffer.from(AsnConvert.serialize(info)), privateKey);
    const request = new CertificationRequest({
      certificationRequestInfo: info,
      signatureAlgorithm: signatureAlgorithm(),
      signature: Uint8Array.from(signature).buffer,
    });
    return pemOf("CERTIFICATE REQUEST", AsnConvert.serialize(request));
  };
  assert.equal(readCertificateRequest(pem("P-256")).length, 91);
  assert.throws(() => readCertificateRequest(pem("P-384")), {
    code: "INVALID_ARGUMENT",
    message: /not signed with its own P-256 key/,
  });
});

test("a request that cannot be taken apart is refused with the cause, and space around one does not matter", () => {
  const { requestPem } = createCertificateRequest();
  const broken = requestPem.replace(/\n.{20}/, "\n");
  assert.throws(
    () => readCertificateRequest(broken),
    (error: Error & { code?: string }) => error.code === "INVALID_ARGUMENT" && error.cause instanceof Error,
  );
  assert.equal(readCertificateRequest(`\n ${requestPem}\n\n`).length, 91);
  assert.throws(() => readCertificateRequest(`x${requestPem}`), { code: "INVALID_ARGUMENT" });
  assert.throws(() => readCertificateRequest(`${requestPem}x`), { code: "INVALID_ARGUMENT" });
});
