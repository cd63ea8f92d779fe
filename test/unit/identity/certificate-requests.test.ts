import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey } from "node:crypto";
import { test } from "node:test";
import {
  createCertificateRequest,
  readCertificateRequest,
} from "../../../src/identity/certificate-requests.ts";

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
