// A client and a tracker whose clocks differ, in one process.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pino } from "pino";
import { freePorts } from "../../../../harness/processes.ts";
import { Client } from "../../../../src/client/client.ts";
import type { ClientEvent } from "../../../../src/client/status.ts";
import { Tracker } from "../../../../src/tracker/tracker.ts";
import { cheapHashing } from "../../tracker/cheap-passwords.ts";

const HOUR_MS = 60 * 60 * 1000;
const log = pino({ level: "silent" });

for (const aheadMs of [-3 * HOUR_MS, 3 * HOUR_MS]) {
  test(`a client ${aheadMs > 0 ? "ahead of" : "behind"} its tracker is told so, and gets no certificate`, async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "clocks-"));
    const [port = 0] = await freePorts(1);
    const trackers = [{ host: "127.0.0.1", port }];
    const nowMs = () => Date.now() - aheadMs;
    const dataDir = join(folder, "tracker");
    const options = { trackers, trackerNumber: 1, dataDir, log, nowMs, passwords: cheapHashing };
    const tracker = await Tracker.open(options);
    const events: ClientEvent[] = [];
    const client = await Client.open({
      ...{ trackers, log, dataDir: join(folder, "client"), listen: { host: "127.0.0.1", port: 0 } },
      onEvent: (event) => events.push(event),
    });
    context.after(async () => {
      await client.close();
      await tracker.close();
      rmSync(folder, { recursive: true });
    });
    await client.createUser("bob", "correct-horse");
    await client.login("bob", "correct-horse");
    const sentence = new RegExp(`clock is 3 h ${aheadMs > 0 ? "ahead of" : "behind"} the tracker's; set it`);
    const told = events.filter((event) => event.type === "clock-wrong");
    assert.match(told.at(-1)?.reason ?? "", sentence);
    await client.createGroup("g");
    const path = join(folder, "set.tar");
    writeFileSync(path, "content");
    await assert.rejects(client.uploadFile(path, "g"), { code: "CLOCK_WRONG", message: sentence });
  });
}
