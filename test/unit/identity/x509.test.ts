import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { COMMON_NAME, DN_QUALIFIER, nameOf, p256SpkiOf, valuesIn } from "../../../src/identity/x509.ts";

test("both keys of a P-256 pair have one public key, and keys of other kinds have none", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
  assert.deepEqual([p256SpkiOf(publicKey), p256SpkiOf(privateKey)], [spki, spki]);
  for (const namedCurve of ["P-384", "secp256k1"])
    assert.equal(p256SpkiOf(generateKeyPairSync("ec", { namedCurve }).publicKey), undefined, namedCurve);
  assert.equal(p256SpkiOf(generateKeyPairSync("ed25519").publicKey), undefined);
  assert.equal(p256SpkiOf(generateKeyPairSync("rsa", { modulusLength: 2_048 }).publicKey), undefined);
});

test("a name has the values of an attribute, and of that one alone, as they were", () => {
  const name = nameOf({ [COMMON_NAME]: "a,b=c", [DN_QUALIFIER]: "#41" });
  assert.deepEqual(
    [[...valuesIn(name, COMMON_NAME)], [...valuesIn(name, DN_QUALIFIER)]],
    [["a,b=c"], ["#41"]],
  );
  assert.deepEqual([...valuesIn(name, "2.5.4.10")], []);
});
