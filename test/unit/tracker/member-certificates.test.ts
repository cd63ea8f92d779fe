// A member's certificates: what is given again, what is issued anew, and that a membership that is over gets none.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import {
  createDeviceIdentity,
  createGroupAuthority,
  readMemberCertificate,
} from "../../../src/identity/certificates.ts";
import { acceptRequest, createGroup, leaveGroup, requestToJoin } from "../../../src/tracker/groups.ts";
import { MemberCertificates } from "../../../src/tracker/member-certificates.ts";
import { town } from "./fixture.ts";

test("a key's certificate is given again for a minute, and is another for another key, group or membership", async (t) => {
  const place = town(t);
  const [alice, bob] = [await place.user("alice"), await place.user("bob")];
  for (const groupId of ["films", "books"]) {
    await place.as(alice, (command) => createGroup(command, groupId, createGroupAuthority(), groupId));
  }
  const letIn = async () => {
    await place.as(bob, (command) => requestToJoin(command, "films"));
    await place.as(alice, (command) => acceptRequest(command, "films", "bob"));
  };
  await letIn();
  const certificates = new MemberCertificates(2);
  const [one, other] = [createDeviceIdentity().publicKeySpki, createDeviceIdentity().publicKeySpki];
  const issue = (account = bob, key = one, groupId = "films", nowMs = 0) =>
    certificates.issue(place.registry, account, key, groupId, nowMs);
  const first = issue();
  assert.equal(issue(bob, one, "films", 59_999).certificatePem, first.certificatePem);
  assert.notEqual(issue(bob, one, "films", 60_000).certificatePem, first.certificatePem);
  assert.notEqual(issue(bob, other).certificatePem, first.certificatePem);
  assert.notEqual(issue(alice, one).membershipId, first.membershipId);
  assert.notEqual(issue(alice, one, "books").authorityPem, first.authorityPem);
  await place.as(bob, (command) => leaveGroup(command, "films"));
  assert.throws(() => issue(), { code: "NOT_A_MEMBER" });
  await letIn();
  const again = issue();
  assert.notEqual(again.membershipId, first.membershipId);
  const { raw } = new X509Certificate(again.certificatePem);
  assert.equal(readMemberCertificate(raw, again.namesKey).membershipId, again.membershipId);
});
