// A member's certificates: what is given again, what is issued anew, and that a membership that is over gets none.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import {
  createDeviceIdentity,
  createGroupAuthority,
  readMemberCertificate,
} from "../../../../src/identity/certificates.ts";
import {
  acceptRequest,
  createGroup,
  leaveGroup,
  requestToJoin,
} from "../../../../src/tracker/rules/groups.ts";
import { MemberCertificates } from "../../../../src/tracker/rules/member-certificates.ts";
import { currentMember, requireGroup } from "../../../../src/tracker/rules/membership-rows.ts";
import { town } from "../fixture.ts";

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
  const { claimId, value } = requireGroup(place.registry, "films");
  const membership = currentMember(place.registry, claimId, bob.accountId);
  assert.equal(again.membershipId, membership?.membershipId);
  const { raw } = new X509Certificate(again.certificatePem);
  const said = readMemberCertificate(raw, again.namesKey);
  assert.deepEqual([said.membershipId, said.userId], [again.membershipId, "bob"]);
  assert.deepEqual(
    [again.groupId, again.groupClaimId, again.authorityPem, again.validUntilMs],
    ["films", claimId, value.authorityCertificatePem, said.validUntilMs],
  );
});

test("a clock that is set back gets no certificate of later, and an account so many keys", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  await place.as(alice, (command) => createGroup(command, "films", createGroupAuthority(), "m"));
  const certificates = new MemberCertificates(1);
  const [one, other] = [createDeviceIdentity().publicKeySpki, createDeviceIdentity().publicKeySpki];
  const issue = (key: Uint8Array, nowMs: number) =>
    certificates.issue(place.registry, alice, key, "films", nowMs);
  const later = issue(one, 10_000_000);
  assert.notEqual(issue(one, 10_000_000 - 60_000).certificatePem, later.certificatePem);
  assert.throws(() => issue(other, 10_000_000), { code: "LIMIT_REACHED" });
});

test("the last issued certificates are given again", async (t) => {
  const place = town(t);
  const alice = await place.user("alice");
  const groupIds = ["a", "b", "c"];
  for (const groupId of groupIds) {
    await place.as(alice, (command) => createGroup(command, groupId, createGroupAuthority(), groupId));
  }
  const certificates = new MemberCertificates(1, 2);
  const { publicKeySpki } = createDeviceIdentity();
  const issue = (groupId: string, nowMs: number) =>
    certificates.issue(place.registry, alice, publicKeySpki, groupId, nowMs).certificatePem;
  issue("a", 0);
  const b = issue("b", 50_000);
  const a = issue("a", 60_000); // issued anew, so that it is the later one
  issue("c", 60_000);
  assert.equal(issue("a", 60_000), a);
  assert.notEqual(issue("b", 60_000), b);
});
