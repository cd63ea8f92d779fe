// Real processes: addresses as people type them, that cannot be listened on, or mean less than they think.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const ROOT = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "minitorrent-typed-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function trackerInfo(...lines: string[]): string {
  const path = join(folder, "tracker_info.txt");
  writeFileSync(path, lines.map((line) => `${line}\n`).join(""));
  return path;
}

function start(program: "client" | "tracker", ...words: string[]) {
  const dataDir = join(folder, `data-${program}`);
  const { status, stderr, stdout } = spawnSync(join(ROOT, program), [...words, "--data-dir", dataDir], {
    encoding: "utf8",
    input: "",
    timeout: 60_000,
  });
  return { status, said: stderr + stdout };
}

test("a client says why it cannot listen, by the address that was typed", async (t) => {
  const info = trackerInfo("127.0.0.1:1");
  const taken = createServer().listen(0, "127.0.0.1");
  t.after(() => taken.close());
  await once(taken, "listening");
  const address = taken.address();
  assert.ok(typeof address === "object" && address !== null);
  for (const [listen, expected] of [
    [`127.0.0.1:${address.port}`, /error ADDRESS_IN_USE: .*Another program listens.*another port/],
    ["198.51.100.77:0", /error ADDRESS_UNUSABLE: .*not an address of this machine.*0\.0\.0\.0/],
    ["[2001:db8::77]:0", /error ADDRESS_UNUSABLE: /],
    ["no-such-host.invalid:0", /error ADDRESS_UNUSABLE: .*no-such-host\.invalid.*IP address/],
  ] as const) {
    const { status, said } = start("client", listen, info);
    assert.match(said, expected, listen);
    assert.equal(status, 1, listen);
  }
});

test("a tracker says why it cannot listen, and points at its line", async () => {
  for (const [line, expected] of [
    ["198.51.100.77:9000", /error ADDRESS_UNUSABLE: .*not an address of this machine.*tracker's number/],
    ["no-such-host.invalid:9000", /error ADDRESS_UNUSABLE: .*no-such-host\.invalid/],
    ["0.0.0.0:9000", /error INVALID_TRACKER_INFO: .*line 1.*stands for all addresses/],
    ["[::]:9000", /error INVALID_TRACKER_INFO: .*line 1.*stands for all addresses/],
  ] as const) {
    const { status, said } = start("tracker", trackerInfo(line), "1");
    assert.match(said, expected, line);
    assert.equal(status, 1, line);
  }
});

test("a client on loopback with a tracker elsewhere is warned that nobody reaches it; with one here it is not", () => {
  const far = start("client", "127.0.0.1:0", trackerInfo("127.0.0.1:1", "198.51.100.1:9000"));
  assert.match(
    far.said,
    /warning: this client listens on 127\.0\.0\.1, .*198\.51\.100\.1:9000.*0\.0\.0\.0:PORT/,
  );
  assert.equal(far.status, 0);
  const near = start("client", "127.0.0.1:0", trackerInfo("127.0.0.1:1", "[::1]:2", "localhost:3"));
  assert.doesNotMatch(near.said, /warning/);
  const everywhere = start("client", "0.0.0.0:0", trackerInfo("198.51.100.1:9000"));
  assert.doesNotMatch(everywhere.said, /warning/);
});

test("a tracker file with the port in the line below its address is read", () => {
  const info = trackerInfo("127.0.0.1", "1", "127.0.0.1", "2");
  assert.equal(start("client", "127.0.0.1:0", info).status, 0);
});
