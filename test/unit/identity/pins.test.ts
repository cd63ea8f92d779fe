import assert from "node:assert/strict";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { PinStore } from "../../../src/identity/pins.ts";

const address = "127.0.0.1:9001";
const first = "a".repeat(64);
const second = "b".repeat(64);

function pinPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "pins-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, "deeper", "pins.sqlite");
}

test("the first key seen is trusted, also after a restart, and another is refused with both named", (t) => {
  const path = pinPath(t);
  const before = new PinStore(path);
  before.check(address, first);
  before.check(address, first);
  before.close();
  const pins = new PinStore(path);
  t.after(() => pins.close());
  assert.equal(pins.get(address), first);
  assert.throws(
    () => pins.check(address, second),
    (error: Error & { code?: string }) =>
      error.code === "TRACKER_KEY_CHANGED" && error.message.includes(first) && error.message.includes(second),
  );
  assert.equal(pins.get(address), first);
  pins.check("127.0.0.1:9002", second);
});

test("a fingerprint in tracker_info.txt stands above what was seen", (t) => {
  const pins = new PinStore(pinPath(t));
  t.after(() => pins.close());
  pins.check(address, first);
  assert.throws(() => pins.check(address, first, second), { code: "TRACKER_KEY_CHANGED" });
  pins.check(address, second, second.toUpperCase());
  pins.check(address, second);
});

test("a forgotten key is trusted anew", (t) => {
  const pins = new PinStore(pinPath(t));
  t.after(() => pins.close());
  pins.check(address, first);
  pins.forget(address);
  assert.equal(pins.get(address), undefined);
  pins.check(address, second);
});

test("two processes share the file, and only its owner may read it", (t) => {
  const path = pinPath(t);
  const one = new PinStore(path);
  const other = new PinStore(path);
  t.after(() => one.close());
  t.after(() => other.close());
  one.check(address, first);
  assert.throws(() => other.check(address, second), { code: "TRACKER_KEY_CHANGED" });
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("an empty file, a damaged one, or one that is none is refused with its path, and no pin is forgotten for it", (t) => {
  const path = pinPath(t);
  const pins = new PinStore(path);
  pins.check(address, first);
  pins.close();
  assert.deepEqual(readdirSync(dirname(path)), ["pins.sqlite"]);
  const whole = readFileSync(path);
  const refused = (error: Error & { code?: string }) =>
    error.code === "DISK_FAILED" && error.message.includes(path) && error.message.includes("remove it");
  const flipped = Buffer.from(whole);
  for (let at = 4096; at < 4400; at++) flipped[at] = (flipped[at] ?? 0) ^ 0xff;
  const noHeader = Buffer.from(whole);
  noHeader[0] = 0;
  for (const bytes of [Buffer.alloc(0), flipped, noHeader, Buffer.from("not a database at all")]) {
    writeFileSync(path, bytes);
    assert.throws(() => new PinStore(path), refused);
    assert.deepEqual(readFileSync(path), bytes, "it is left as it is");
  }
  truncateSync(path, 0);
  writeFileSync(path, whole);
  const again = new PinStore(path);
  t.after(() => again.close());
  assert.equal(again.get(address), first);
});
