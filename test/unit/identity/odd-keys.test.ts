// Certificates with keys of every kind: the key of one is taken if it is P-256, and refused with a code if it is not.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { makeOddCertificates } from "../../../harness/odd-certificates.ts";
import { withoutOpenssl } from "../../../harness/requirements.ts";
import { publicKeySpkiOf } from "../../../src/identity/certificates.ts";

test("nothing but a P-256 key is taken, whatever the certificate's shape", { skip: withoutOpenssl() }, () => {
  for (const { name, cert, isP256 } of makeOddCertificates()) {
    const read = () => publicKeySpkiOf(new X509Certificate(cert));
    if (isP256) assert.equal(read().length, 91, name);
    else assert.throws(read, { code: "PEER_REFUSED" }, name);
  }
});
