import assert from "node:assert/strict";
import { test } from "node:test";
import { createGroupAuthority } from "../../../src/identity/certificates.ts";
import { secureContextOf } from "../../../src/transport/group-credentials.ts";
import { member } from "./members.ts";

test("credentials have one TLS context; a renewed certificate has another", async () => {
  const authority = createGroupAuthority();
  const first = await member(authority, "alice");
  assert.equal(secureContextOf(first), secureContextOf(first));
  assert.notEqual(secureContextOf({ ...first }), secureContextOf(first));
});

test("a certificate whose key is another's, or that is none, cannot be used", async () => {
  const authority = createGroupAuthority();
  const [alice, bob] = [await member(authority, "alice"), await member(authority, "bob")];
  for (const changes of [
    { privateKeyPem: bob.privateKeyPem },
    { certificatePem: "nonsense" },
    { privateKeyPem: "nonsense" },
  ]) {
    assert.throws(() => secureContextOf({ ...alice, ...changes }), {
      code: "INTERNAL",
      message: "The group's certificate cannot be used.",
    });
  }
});
