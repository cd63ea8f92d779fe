// How a daemon is set up: which source of a setting counts, what each setting means, and errors that name the place.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import {
  DAEMON_SETTINGS,
  daemonSettings,
  dataDirFrom,
  type GivenSettings,
} from "../../../src/cli/daemon-settings.ts";

const TRACKERS: GivenSettings = { trackers: "/etc/tracker_info.txt" };

/** A home folder, with that config file in it. */
function homeWith(t: TestContext, config?: string, base = ".config") {
  const home = mkdtempSync(join(tmpdir(), "daemon-settings-"));
  t.after(() => rmSync(home, { recursive: true }));
  const configPath = join(home, base, "minitorrent", "daemon.conf");
  if (config !== undefined) {
    mkdirSync(join(configPath, ".."), { recursive: true });
    writeFileSync(configPath, config);
  }
  const settings = (flags: GivenSettings = TRACKERS, env: NodeJS.ProcessEnv = {}) =>
    daemonSettings(flags, env, () => home);
  return { home, configPath, settings };
}

test("a flag counts before a variable, that before the config file, that before the default", (t) => {
  const { settings } = homeWith(t, "limit-up = 1MB/s\nlimit-down = 1MB/s\nlog-level = warn\n");
  const env = { MINITORRENT_LIMIT_UP: "2MB/s", MINITORRENT_LIMIT_DOWN: "2MB/s", MINITORRENT_LISTEN: "" };
  const { limits, logLevel, listen } = settings({ ...TRACKERS, "limit-up": "3MB/s" }, env);
  assert.deepEqual(limits, { up: 3_000_000, down: 2_000_000 });
  assert.equal(logLevel, "warn");
  assert.deepEqual(listen, { host: "0.0.0.0", port: 0 }, "an empty variable is none");
});

test("each setting can be given in each of the three places", (t) => {
  const values: Record<keyof typeof DAEMON_SETTINGS, string> = {
    listen: "192.0.2.7:6881",
    trackers: "/etc/trackers",
    "data-dir": "/var/daemon",
    web: "127.0.0.1:7411",
    "web-hosts": "nas.lan, nas",
    roots: "/srv, ~/films",
    folder: "/srv/downloads",
    user: "ann",
    "password-file": "/etc/password",
    memory: "64MiB",
    "limit-up": "5MB/s",
    "limit-down": "off",
    "log-level": "debug",
    "log-file": "~/daemon.log",
  };
  const lines = Object.entries(values).map(([name, value]) => `  ${name}  =  ${value}  `);
  const { home, settings } = homeWith(t, `# a comment\n\n${lines.join("\n")}`);
  const expected = {
    listen: { host: "192.0.2.7", port: 6881 },
    trackers: "/etc/trackers",
    dataDir: "/var/daemon",
    web: {
      address: { host: "127.0.0.1", port: 7411 },
      hostNames: ["nas.lan", "nas"],
      roots: ["/srv", join(home, "films")],
    },
    folder: "/srv/downloads",
    login: { userId: "ann", passwordFile: "/etc/password" },
    memoryBytes: 64 * 2 ** 20,
    limits: { up: 5_000_000, down: undefined },
    logLevel: "debug",
    logFile: join(home, "daemon.log"),
  };
  assert.deepEqual(settings({}), expected);
  const { settings: withoutFile } = homeWith(t);
  const env = Object.fromEntries(
    Object.entries({ ...values, roots: `/srv,${home}/films`, "log-file": `${home}/daemon.log` }).map(
      ([name, value]) => [`MINITORRENT_${name.toUpperCase().replaceAll("-", "_")}`, value],
    ),
  );
  assert.deepEqual(withoutFile({}, env), expected);
  assert.deepEqual(
    withoutFile({ ...values, roots: `/srv,${home}/films`, "log-file": `${home}/daemon.log` }),
    expected,
  );
});

test("without settings, a daemon listens everywhere, has no TCP API at first and logs what info says", (t) => {
  const { home, settings } = homeWith(t);
  assert.deepEqual(settings(), {
    listen: { host: "0.0.0.0", port: 0 },
    trackers: "/etc/tracker_info.txt",
    dataDir: join(home, ".local/share/minitorrent/daemon"),
    web: { address: undefined, hostNames: [], roots: [home] },
    folder: undefined,
    login: undefined,
    memoryBytes: undefined,
    limits: { up: undefined, down: undefined },
    logLevel: "info",
    logFile: undefined,
  });
});

test("an account and its password come from settings, or from the credentials of a service", (t) => {
  const { home, settings } = homeWith(t);
  const CREDENTIALS_DIRECTORY = join(home, "credentials");
  mkdirSync(CREDENTIALS_DIRECTORY);
  const passwordFile = join(CREDENTIALS_DIRECTORY, "minitorrent-password");
  const login = (flags: GivenSettings = {}) => settings(flags, { CREDENTIALS_DIRECTORY }).login;
  assert.equal(login(), undefined, "a service may have other credentials");
  assert.throws(() => login({ user: "ann" }), {
    code: "USAGE",
    message: /the password of ann: give --password/,
  });
  writeFileSync(passwordFile, "secret\n", { mode: 0o440 });
  assert.throws(() => login(), { code: "USAGE", message: /the account that the password is of/ });
  assert.deepEqual(login({ user: "ann" }), { userId: "ann", passwordFile });
  writeFileSync(join(CREDENTIALS_DIRECTORY, "minitorrent-user"), "bob\n", { mode: 0o440 });
  assert.deepEqual(login(), { userId: "bob", passwordFile });
  assert.deepEqual(login({ user: "ann", "password-file": "/p" }), { userId: "ann", passwordFile: "/p" });
});

test("a daemon needs no trackers to be set up", (t) => {
  const { settings } = homeWith(t);
  assert.equal(settings({}).trackers, undefined);
});

test("an error names the flag, the variable, or the file and line that it is about", (t) => {
  const { configPath, settings } = homeWith(t, "# mine\n\nmemory = lots\n");
  assert.throws(() => settings(), {
    code: "INVALID_ARGUMENT",
    message: `${configPath}, line 3: 'lots' is not a size: 256MiB or 1GB is expected.`,
  });
  assert.throws(() => settings(TRACKERS, { MINITORRENT_MEMORY: "much" }), {
    code: "INVALID_ARGUMENT",
    message: /^MINITORRENT_MEMORY: 'much' is not a size/,
  });
  for (const [name, value, code] of [
    ["listen", "here", "INVALID_ADDRESS"],
    ["web", "127.0.0.1", "INVALID_ADDRESS"],
    ["limit-up", "fast", "INVALID_ARGUMENT"],
    ["limit-down", "5", "INVALID_ARGUMENT"],
    ["log-level", "loud", "USAGE"],
  ] as const) {
    assert.throws(() => settings({ ...TRACKERS, memory: "1GB", [name]: value }), {
      code,
      message: new RegExp(`^--${name}: `),
    });
  }
});

for (const line of [
  "listen 127.0.0.1:1",
  "lissten = 127.0.0.1:1",
  "= 1",
  "LISTEN = 127.0.0.1:1",
  "constructor = 1",
]) {
  test(`a line '${line}' of the config file is refused by its number, with the names there are`, (t) => {
    const { configPath, settings } = homeWith(t, `memory = 1GB\n${line}\n`);
    assert.throws(() => settings(), {
      code: "INVALID_ARGUMENT",
      message: `${configPath}, line 2: expected is name = value, with one of ${Object.keys(DAEMON_SETTINGS).join(", ")}.`,
    });
  });
}

test("a config file that cannot be read is told of, and one that is not there is none", (t) => {
  const { home, configPath, settings } = homeWith(t);
  mkdirSync(configPath, { recursive: true });
  assert.throws(() => settings(), {
    code: "INVALID_ARGUMENT",
    message: new RegExp(`^${configPath} cannot be read: .*EISDIR`),
  });
  rmSync(join(home, ".config"), { recursive: true });
  writeFileSync(join(home, ".config"), "a file where the folder should be");
  assert.equal(settings().logLevel, "info");
});

test("XDG_CONFIG_HOME moves the config file if it is absolute, and is ignored otherwise", (t) => {
  const { home, settings } = homeWith(t, "log-level = debug\n", "xdg");
  assert.equal(settings(TRACKERS, { XDG_CONFIG_HOME: join(home, "xdg") }).logLevel, "debug");
  assert.equal(settings(TRACKERS).logLevel, "info");
  const { settings: inHome } = homeWith(t, "log-level = error\n");
  assert.equal(inHome(TRACKERS, { XDG_CONFIG_HOME: "xdg" }).logLevel, "error");
});

test("without a home folder, no config file of the current folder is read", (t) => {
  const { home } = homeWith(t, "log-level = debug\n");
  const before = process.cwd();
  t.after(() => process.chdir(before));
  process.chdir(home);
  const { logLevel } = daemonSettings({ ...TRACKERS, "data-dir": "/var/daemon" }, {}, () => "");
  assert.equal(logLevel, "info");
});

test("callers over TCP may name paths in the home folder unless roots are given, and in none without a home folder", (t) => {
  const { home, settings } = homeWith(t);
  const web = { ...TRACKERS, "data-dir": "/var/daemon", web: "[::1]:0" };
  const expected = { address: { host: "::1", port: 0 }, hostNames: [] };
  assert.deepEqual(settings(web).web, { ...expected, roots: [home] });
  assert.deepEqual(settings({ ...web, roots: "/srv/a/../b,, " }).web, { ...expected, roots: ["/srv/b"] });
  assert.deepEqual(daemonSettings(web, {}, () => "").web, { ...expected, roots: [] });
  // The page can be asked for later.
  const { web: later } = settings({ ...TRACKERS, roots: "/srv", "web-hosts": "nas" });
  assert.deepEqual(later, { address: undefined, hostNames: ["nas"], roots: ["/srv"] });
});

test("paths are made absolute, and ~ stands for the home folder", (t) => {
  const { home, settings } = homeWith(t);
  const { trackers, dataDir } = settings({ trackers: "~/trackers", "data-dir": "data" });
  assert.deepEqual([trackers, dataDir], [join(home, "trackers"), join(process.cwd(), "data")]);
});

test("commands find the data directory of the daemon by the same settings, and need no others", (t) => {
  const { home } = homeWith(t, "data-dir = ~/mine\n");
  assert.equal(
    dataDirFrom({}, {}, () => home),
    join(home, "mine"),
  );
  assert.equal(
    dataDirFrom({}, { MINITORRENT_DATA_DIR: "/var/a" }, () => home),
    "/var/a",
  );
  assert.equal(
    dataDirFrom({ "data-dir": "/var/b" }, { MINITORRENT_DATA_DIR: "/var/a" }, () => home),
    "/var/b",
  );
  const { home: bare } = homeWith(t);
  assert.equal(
    dataDirFrom({}, { XDG_DATA_HOME: "/data" }, () => bare),
    "/data/minitorrent/daemon",
  );
});
