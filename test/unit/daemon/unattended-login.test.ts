// A login without a person: when it is tried again, and when it is given up.
import assert from "node:assert/strict";
import { test } from "node:test";
import pino from "pino";
import { VirtualClock } from "../../../harness/virtual-clock.ts";
import { type ErrorCode, MiniTorrentError } from "../../../src/api/errors.ts";
import { UnattendedLogin } from "../../../src/daemon/unattended-login.ts";

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** @param failures codes that the attempts fail with, in order; later ones go well */
function stage(failures: readonly ErrorCode[], retryAfterMs?: number) {
  const clock = new VirtualClock();
  let attempts = 0;
  const unattended = new UnattendedLogin({
    clock,
    log: pino({ level: "silent" }),
    login: async () => {
      const code = failures[attempts++];
      if (code !== undefined)
        throw new MiniTorrentError(code, "No.", retryAfterMs === undefined ? {} : { retryAfterMs });
    },
  });
  const after = (ms: number): Promise<void> => clock.passSettled(ms, settle);
  return { unattended, clock, after, attempts: () => attempts };
}

test("it is tried until a tracker answers, with growing pauses, and then not any more", async () => {
  const { unattended, clock, after, attempts } = stage(new Array(12).fill("TRACKERS_UNREACHABLE"));
  unattended.begin();
  unattended.begin();
  await after(0);
  assert.equal(attempts(), 1);
  await after(1_999);
  assert.equal(attempts(), 1);
  await after(1);
  assert.equal(attempts(), 2);
  await after(3_600_000);
  assert.equal(attempts(), 13);
  assert.deepEqual(clock.timers, []);
  unattended.begin();
  await after(0);
  assert.equal(attempts(), 14, "the session ended, and another one begins");
});

test("a pause is never longer than five minutes, unless the trackers ask for a longer one", async () => {
  const patient = stage(new Array(100).fill("TRACKERS_UNREACHABLE"));
  patient.unattended.begin();
  await patient.after(2 * 3_600_000);
  assert.equal(patient.clock.timers[0]?.delayMs, 300_000);
  const asked = stage(["TOO_MANY_ATTEMPTS"], 900_000);
  asked.unattended.begin();
  await asked.after(899_999);
  assert.equal(asked.attempts(), 1);
  await asked.after(1);
  assert.equal(asked.attempts(), 2);
});

test("a refusal that a person must see to is final, and a closed one tries nothing", async () => {
  for (const code of ["BAD_CREDENTIALS", "INVALID_ARGUMENT", "ALREADY_LOGGED_IN"] as const) {
    const { unattended, clock, after, attempts } = stage([code]);
    unattended.begin();
    await after(3_600_000);
    assert.deepEqual([attempts(), clock.timers], [1, []], code);
  }
  const { unattended, clock, after, attempts } = stage(["TRACKERS_UNREACHABLE"]);
  unattended.begin();
  await after(0);
  unattended.close();
  unattended.begin();
  await after(3_600_000);
  assert.deepEqual([attempts(), clock.timers], [1, []]);
});
