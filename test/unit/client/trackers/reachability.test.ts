import assert from "node:assert/strict";
import { test } from "node:test";
import { dialPlans, isLoopback, listenClaim } from "../../../../src/client/trackers/reachability.ts";

const OWN = ["192.0.2.5", "2001:db8::5"];

test("a client that listens on all addresses is reached where the tracker sees it, and at its addresses of the other family", () => {
  const bound = ["0.0.0.0", "::"];
  assert.deepEqual(listenClaim(bound, "192.0.2.5", OWN), { listensHere: true, otherHosts: ["2001:db8::5"] });
  assert.deepEqual(listenClaim(bound, "2001:db8::5", OWN), { listensHere: true, otherHosts: ["192.0.2.5"] });
  assert.deepEqual(listenClaim(bound, "10.0.0.9", OWN), { listensHere: true, otherHosts: ["2001:db8::5"] });
});

test("a client that listens on IPv4 alone does not listen where an IPv6 tracker sees it", () => {
  assert.deepEqual(listenClaim(["0.0.0.0"], "2001:db8::5", OWN), {
    listensHere: false,
    otherHosts: ["192.0.2.5"],
  });
  assert.deepEqual(listenClaim(["127.0.0.1"], "::1", OWN), { listensHere: false, otherHosts: ["127.0.0.1"] });
  assert.deepEqual(listenClaim(["0.0.0.0"], "192.0.2.5", OWN), { listensHere: true, otherHosts: [] });
});

test("a client that listens at one address is reached there, wherever it dials from", () => {
  assert.deepEqual(listenClaim(["192.0.2.5"], "192.0.2.5", OWN), { listensHere: true, otherHosts: [] });
  assert.deepEqual(listenClaim(["192.0.2.5"], "192.0.2.6", OWN), {
    listensHere: false,
    otherHosts: ["192.0.2.5"],
  });
});

test("no more addresses are announced than may be", () => {
  const many = Array.from({ length: 9 }, (_, at) => `2001:db8::${at + 1}`);
  assert.equal(listenClaim(["0.0.0.0", "::"], "192.0.2.5", many).otherHosts.length, 4);
});

test("a tracker is dialled from an address that is listened on, if it can be reached from there", async () => {
  const own = new Set([...OWN, "127.0.0.1", "::1"]);
  const from = async (bound: string[], host: string) =>
    (await dialPlans(host, bound, own, async () => ["2001:db8::9", "192.0.2.9"]))[0]?.localAddress;
  assert.equal(await from(["0.0.0.0", "::"], "192.0.2.9"), undefined);
  assert.equal(await from(["192.0.2.5"], "192.0.2.9"), "192.0.2.5");
  assert.equal(await from(["192.0.2.5"], "2001:db8::9"), undefined, "not from IPv4 to IPv6");
  assert.equal(await from(["127.0.0.1"], "::1"), undefined);
  assert.equal(await from(["127.0.0.1"], "192.0.2.9"), undefined, "not from loopback to another machine");
  assert.equal(await from(["127.0.0.1"], "127.0.0.1"), "127.0.0.1");
  assert.equal(await from(["127.0.0.1"], "192.0.2.5"), "127.0.0.1", "an address of this machine");
  assert.equal(await from(["::1", "127.0.0.1"], "127.0.0.2"), "127.0.0.1");
});

test("if that fails, the system chooses: the address may be gone, or the tracker be at another one of its name's", async () => {
  const plans = await dialPlans("192.0.2.9", ["192.0.2.5"], new Set());
  assert.deepEqual(plans.at(-1), { host: "192.0.2.9", localAddress: undefined });
  assert.equal(plans.length, 2);
});

test("the address of a name that is of the listening family is dialled", async () => {
  const resolve = async () => ["2001:db8::9", "192.0.2.9"];
  const anyhow = { host: "tracker.example", localAddress: undefined };
  assert.deepEqual(await dialPlans("tracker.example", ["192.0.2.5"], new Set(OWN), resolve), [
    { host: "192.0.2.9", localAddress: "192.0.2.5" },
    anyhow,
  ]);
  assert.deepEqual(await dialPlans("tracker.example", ["127.0.0.1"], new Set(OWN), resolve), [anyhow]);
});

test("loopback addresses are told apart", () => {
  for (const host of ["127.0.0.1", "::1", "localhost", "127.1.2.3"]) assert.ok(isLoopback(host), host);
  for (const host of ["192.0.2.5", "0.0.0.0", "::"]) assert.ok(!isLoopback(host), host);
});

test("from a link-local address with a zone no tracker is dialled", async () => {
  const plans = await dialPlans("2001:db8::9", ["fe80::1%eth0"], new Set());
  assert.deepEqual(plans, [{ host: "2001:db8::9", localAddress: undefined }]);
});

test("an address is not looked up as a name, and a name is, by the system's resolver too", async () => {
  const noNames = () => assert.fail("it is no name");
  const plans = await dialPlans("192.0.2.9", ["192.0.2.5"], new Set(OWN), noNames);
  assert.equal(plans[0]?.localAddress, "192.0.2.5");
  const [plan] = await dialPlans("localhost", ["127.0.0.1", "::1"], new Set());
  assert.match(plan?.host ?? "", /^(127\.0\.0\.1|::1)$/);
});
