// What ./client and ./tracker understand of their arguments.
import assert from "node:assert/strict";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  clientUsage,
  parseClientArguments,
  parseTrackerArguments,
  trackerAt,
  trackerUsage,
  versionText,
} from "../../../src/cli/arguments.ts";
import { expandHome } from "../../../src/cli/command-line.ts";
import { defaultDataDir } from "../../../src/cli/data-dir.ts";

describe("parseClientArguments", () => {
  const run = {
    kind: "run",
    listen: { host: "127.0.0.1", port: 0 },
    trackerInfoPath: "t.txt",
    dataDir: undefined,
    passwordFile: undefined,
    isJson: false,
    isStaying: false,
    limits: { up: undefined, down: undefined },
    memoryBytes: undefined,
    logLevel: undefined,
  };

  it("reads address and file, options before or after", () => {
    assert.deepEqual(parseClientArguments(["127.0.0.1:0", "t.txt"]), run);
    assert.deepEqual(
      parseClientArguments([
        "--json",
        "127.0.0.1:0",
        "--data-dir",
        "d",
        "t.txt",
        "--stay",
        "--log-level=debug",
        "--password-file=p",
      ]),
      { ...run, isJson: true, isStaying: true, dataDir: "d", logLevel: "debug", passwordFile: "p" },
    );
  });

  it("reads limits and memory as people write them", () => {
    const given = ["--limit-up", "500kB/s", "--limit-down=5MB/s", "--memory", "64MiB"];
    assert.deepEqual(parseClientArguments(["127.0.0.1:0", "t.txt", ...given]), {
      ...run,
      limits: { up: 500_000, down: 5_000_000 },
      memoryBytes: 64 * 1024 * 1024,
    });
  });

  it("reads a timeout in seconds, and ~ in every path", () => {
    const given = ["--timeout", "1.5", "--data-dir=~/d", "--password-file", "~/p"];
    assert.deepEqual(parseClientArguments(["127.0.0.1:0", "~/t.txt", ...given]), {
      ...{ ...run, waitTimeoutMs: 1_500, trackerInfoPath: join(homedir(), "t.txt") },
      ...{ dataDir: join(homedir(), "d"), passwordFile: join(homedir(), "p") },
    });
    for (const wrong of ["0", "-1", "soon", "1e9"]) {
      assert.throws(() => parseClientArguments(["127.0.0.1:0", "t.txt", `--timeout=${wrong}`]), {
        code: "USAGE",
      });
    }
  });

  it("finds no place for data where HOME is empty", () => {
    assert.throws(() => defaultDataDir("client", {}, () => ""), { code: "USAGE", message: /HOME is empty/ });
    assert.equal(
      defaultDataDir("client", { XDG_DATA_HOME: "/x" }, () => ""),
      "/x/minitorrent/client",
    );
  });

  it("refuses an empty path, and ~ without a home folder", () => {
    for (const given of [
      ["", "t.txt"],
      ["127.0.0.1:0", ""],
      ["127.0.0.1:0", "t.txt", "--data-dir="],
      ["127.0.0.1:0", "t.txt", "--password-file="],
    ])
      assert.throws(() => parseClientArguments(given), { code: /USAGE|INVALID_ADDRESS/ }, given.join(" "));
    for (const given of [
      ["", "1"],
      ["t.txt", "1", "--data-dir="],
    ])
      assert.throws(() => parseTrackerArguments(given), { code: "USAGE" }, given.join(" "));
    for (const home of ["", "relative"]) {
      assert.throws(() => expandHome("~/x", home), { code: "INVALID_ARGUMENT", message: /set HOME/ });
      assert.equal(expandHome("./~/x", home), "./~/x");
    }
  });

  it("wraps its usage at words, for a narrow terminal too", () => {
    for (const columns of [undefined, 80, 60, 41, 200]) {
      for (const usage of [clientUsage(columns), trackerUsage(columns)]) {
        const lines = usage.split("\n");
        assert.ok(
          lines.every((line) => line.length < (columns ?? 80)),
          usage,
        );
        assert.match(usage.replace(/\s+/g, " "), /<tracker_info\.txt> the trackers, one a line: IP:PORT/);
        for (const option of ["--data-dir <folder>", "--log-level <level>", "--help, --version"])
          assert.ok(
            lines.some((line) => line.startsWith(`  ${option}`)),
            option,
          );
      }
    }
  });

  it("gives help and version whatever else is there", () => {
    assert.deepEqual(parseClientArguments(["--help", "x"]), { kind: "help" });
    assert.deepEqual(parseClientArguments(["-V"]), { kind: "version" });
    assert.match(versionText(), /^miniTorrent \d+\.\d+\.\d+/);
  });

  const wrong: [string[], string, RegExp][] = [
    [[], "USAGE", /Two arguments are expected, <IP>:<PORT> and <tracker_info\.txt>; given: none\./],
    [["127.0.0.1:1"], "USAGE", /given: 127\.0\.0\.1:1\./],
    [["127.0.0.1:1", "t.txt", "more"], "USAGE", /given: 127\.0\.0\.1:1 t\.txt more\./],
    [["localhost", "t.txt"], "INVALID_ADDRESS", /The port is missing; write localhost:9000\./],
    [["127.0.0.1:1", "t.txt", "--nonsense"], "USAGE", /^Unknown option '--nonsense'/],
    [["127.0.0.1:1", "t.txt", "--log-level", "loud"], "USAGE", /'loud' is not a log level: trace, debug/],
    [["127.0.0.1:1", "t.txt", "--limit-up", "5 apples"], "INVALID_ARGUMENT", /'5 apples' is not a rate/],
    [["127.0.0.1:1", "t.txt", "--memory", "lots"], "INVALID_ARGUMENT", /'lots' is not a size/],
  ];
  for (const [argv, code, message] of wrong) {
    it(`refuses '${argv.join(" ")}'`, () => {
      assert.throws(() => parseClientArguments(argv), { code, message });
    });
  }
});

describe("parseTrackerArguments", () => {
  it("reads file and number", () => {
    assert.deepEqual(parseTrackerArguments(["t.txt", "2", "--data-dir", "d"]), {
      kind: "run",
      trackerInfoPath: "t.txt",
      trackerNumber: "2",
      dataDir: "d",
      limits: {},
      logLevel: undefined,
    });
    assert.throws(() => parseTrackerArguments(["t.txt"]), { code: "USAGE" });
  });
});

describe("a tracker's limits", () => {
  it("are given by name, and a wrong name or number is refused with the names", () => {
    const given = parseTrackerArguments([
      "t",
      "1",
      "--limit",
      "groupsPerUser=3",
      "--limit",
      "filesPerUser=0",
    ]);
    assert.deepEqual(given.kind === "run" && given.limits, { groupsPerUser: 3, filesPerUser: 0 });
    for (const wrong of [
      "groups=3",
      "groupsPerUser",
      "groupsPerUser=-1",
      "groupsPerUser=1e3",
      "toString=1",
    ]) {
      assert.throws(() => parseTrackerArguments(["t", "1", `--limit=${wrong}`]), /requestsPerUser/);
    }
  });
});

describe("trackerAt", () => {
  it("finds the tracker that has the address", () => {
    const trackers = [
      { host: "a", port: 1 },
      { host: "::1", port: 2 },
    ];
    assert.equal(trackerAt({ host: "A", port: 1 }, trackers), 0);
    assert.equal(trackerAt({ host: "::1", port: 2 }, trackers), 1);
    assert.equal(trackerAt({ host: "a", port: 2 }, trackers), undefined);
  });
});

describe("defaultDataDir", () => {
  it("is in the XDG data folder, or where that is by default", () => {
    assert.equal(defaultDataDir("client", { XDG_DATA_HOME: "/data" }), "/data/minitorrent/client");
    const usual = `${homedir()}/.local/share/minitorrent/client`;
    assert.equal(defaultDataDir("client", {}), usual);
    assert.equal(defaultDataDir("client", { XDG_DATA_HOME: "relative" }), usual);
  });
});
