// Invites between real processes: a machine that has nothing but the text of one gets to a shared folder, and trusts only the
// trackers that the text names.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { DaemonUser } from "../../harness/daemons.ts";
import { Scene } from "../../harness/scene.ts";
import { until } from "../../harness/within.ts";
import { parseAddress } from "../../src/api/addresses.ts";
import { decodeInvite, encodeInvite } from "../../src/api/invite.ts";

/** A user whose daemon is told of no trackers. */
function stranger(home: string): DaemonUser {
  const user = new DaemonUser(home, "");
  writeFileSync(join(user.home, "password"), "correct-horse\n", { mode: 0o600 });
  return user;
}

describe("an invite", () => {
  let scene: Scene;
  let ann: DaemonUser;
  const users: DaemonUser[] = [];
  const newUser = (name: string): DaemonUser => {
    const user = stranger(scene.path(name));
    users.push(user);
    return user;
  };
  const makeInvite = async (...options: string[]): Promise<{ invite: string; inviteId: string }> =>
    JSON.parse(await ann.must("create_invite", "studio", ...options, "--json")).result;

  before(async () => {
    scene = await Scene.open(2);
    ann = new DaemonUser(scene.path("ann"), scene.trackerInfo);
    users.push(ann);
    writeFileSync(join(ann.home, "password"), "correct-horse\n", { mode: 0o600 });
    await ann.must("daemon");
    await ann.must("create_user", "ann", "--password-file", "password");
    await ann.must("login", "ann", "--password-file", "password");
    await ann.must("create_group", "studio");
    mkdirSync(join(ann.home, "build", "bin"), { recursive: true });
    writeFileSync(join(ann.home, "build", "bin", "run"), "run it\n", { mode: 0o755 });
    writeFileSync(join(ann.home, "build", "notes.txt"), "read me\n");
    await ann.must("share", "build", "studio");
  });
  after(async () => {
    await Promise.all(users.map((user) => user.end()));
    await scene[Symbol.asyncDispose]();
  });

  it("alone brings a new machine to a shared folder, and its daemon keeps the trackers and their keys", async () => {
    const { invite } = await makeInvite("--uses", "1");
    const { trackers } = decodeInvite(invite);
    assert.equal(trackers.length, 2);
    assert.ok(trackers.every(({ fingerprint }) => fingerprint !== undefined));
    const bob = newUser("bob");
    assert.match(await bob.must("daemon"), /It knows no trackers yet: minitorrent join <invite>/);
    const early = await bob.run("create_user", "bob", "--password-file", "password");
    assert.equal(early.code, 1);
    assert.match(early.stderr, /^error TRACKERS_UNKNOWN: .*minitorrent join <invite>/);
    const before = await bob.run("join", invite);
    assert.equal(before.code, 1);
    assert.match(
      before.stderr,
      /^error NOT_LOGGED_IN: The invite's trackers are known now\. Joining needs an account: /,
    );
    await bob.must("create_user", "bob", "--password-file", "password");
    await bob.must("login", "bob", "--password-file", "password");
    assert.equal(await bob.must("join", invite), "You are a member of studio now.\n");
    await bob.must("download", "studio", "build", "./", "--wait");
    assert.equal(readFileSync(join(bob.home, "build", "bin", "run"), "utf8"), "run it\n");
    const kept = readFileSync(join(bob.home, ".data", "minitorrent", "daemon", "tracker_info.txt"), "utf8");
    for (const { port, fingerprint } of trackers)
      assert.ok(kept.includes(`127.0.0.1:${port} sha256:${fingerprint}\n`), kept);
    await bob.end();
    assert.match(await bob.must("daemon"), /Logged in as bob\./);
    assert.match(await bob.must("trackers"), /sha256:[0-9a-f]{64} {2}connected/);
    assert.match(await ann.must("list_invites", "studio"), /exhausted .* ann +bob\n/);
  });

  it("that is revoked, forged or used up gets one answer, and none of them lets anybody in", async () => {
    const [revoked, used] = [await makeInvite(), await makeInvite("--uses", "1")];
    await ann.must("revoke_invite", "studio", revoked.inviteId);
    const forged = encodeInvite({ ...decodeInvite(revoked.invite), secret: "AAECAwQFBgcICQoLDA0ODw" });
    const [carol, dave] = [newUser("carol"), newUser("dave")];
    for (const [name, user] of [
      ["carol", carol],
      ["dave", dave],
    ] as const) {
      await user.must("daemon");
      await user.must("trackers", "set", used.invite);
      await user.must("create_user", name, "--password-file", "password");
      await user.must("login", name, "--password-file", "password");
    }
    await carol.must("join_group", used.invite);
    const answers = [];
    for (const invite of [revoked.invite, forged, used.invite]) answers.push(await dave.run("join", invite));
    const sentence =
      "error INVITE_REFUSED: This invite does not hold, or no longer: ask the owner of the group for another one.\n";
    assert.deepEqual(answers, Array(3).fill({ code: 1, stdout: "", stderr: sentence }));
    const typo = await dave.run("join", `${used.invite.slice(0, -1)}_`);
    assert.match(typo.stderr, /^error INVALID_INVITE: The invite has a typing mistake/);
    await ann.must("remove_member", "studio", "carol");
    assert.equal((await carol.run("join", used.invite)).stderr, sentence, "who was removed does not return");
    assert.doesNotMatch(await ann.must("list_members", "studio"), /carol|dave/);
  });

  it("names keys: a tracker with another key at its addresses is refused, and gets no password", async () => {
    const { invite } = await makeInvite();
    await using others = await Scene.open(1);
    const { port } = parseAddress(others.trackerAddresses[0] ?? "");
    const real = decodeInvite(invite);
    const [first] = real.trackers;
    assert.ok(first);
    const erin = newUser("erin");
    await erin.must("daemon");
    const atImpostor = encodeInvite({ ...real, trackers: [{ ...first, port }] });
    await erin.must("trackers", "set", atImpostor);
    await until(async () => (await erin.must("trackers")).includes("not connected: "), "the key is refused");
    assert.match(await erin.must("trackers"), /impersonating the tracker/);
    const { code, stderr } = await erin.run("create_user", "erin", "--password-file", "password");
    assert.deepEqual([code, stderr.slice(0, 26)], [1, "error TRACKER_KEY_CHANGED:"]);
    await erin.must("trackers", "set", invite);
    await erin.must("create_user", "erin", "--password-file", "password");
    await erin.must("login", "erin", "--password-file", "password");
    await erin.must("join", invite);
  });
});
