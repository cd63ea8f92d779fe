// Downloads every file of a group that was never on this machine under this account, and prints its path when it is
// complete. It uses the client as a library. Run it again, by cron for example, to fetch what was shared since; a
// download that was interrupted continues, and files that were moved out of the folder are not fetched again. Files
// without a seeder online are left for a later run.
//
//   bin/node examples/download-new.ts 192.0.2.2:6881 tracker_info.txt bob bob-password.txt studio ./downloads
import { pino } from "pino";
import { parseAddress } from "../src/api/addresses.ts";
import { asMiniTorrentError, MiniTorrentError } from "../src/api/errors.ts";
import { defaultDataDir } from "../src/cli/data-dir.ts";
import { readPasswordFile } from "../src/cli/password-file.ts";
import { readTrackerInfo } from "../src/cli/tracker-info.ts";
import { Client } from "../src/client/client.ts";

const [listen = "", trackerInfo = "", userId = "", passwordFile = "", groupId = "", folder = ""] =
  process.argv.slice(2);
if (folder === "") {
  console.error("usage: download-new.ts IP:PORT TRACKER_INFO USER PASSWORD_FILE GROUP FOLDER");
  process.exit(2);
}

try {
  const client = await Client.open({
    listen: parseAddress(listen, true),
    trackers: readTrackerInfo(trackerInfo),
    // The folder that ./client uses too: what one of them has fetched, the other knows.
    dataDir: defaultDataDir("client"),
    log: pino({ enabled: false }),
    onEvent: (event) => {
      if (event.type === "download-complete") console.log(event.destinationPath);
    },
  });
  try {
    await client.login(userId, readPasswordFile(passwordFile));
    await downloadNew(client);
    await client.logout();
  } finally {
    await client.close();
  }
} catch (error) {
  fail(error);
}

async function downloadNew(client: Client): Promise<void> {
  // The login has resumed the shares and downloads of earlier runs.
  const knownContents = new Set(client.shares().map(({ sha1 }) => sha1));
  const namesUnderWay = new Set<string>();
  for (const download of client.downloadHistory()) {
    if (download.state === "complete") knownContents.add(download.sha1);
    else if (download.groupId === groupId) namesUnderWay.add(download.fileName);
  }

  for (const { fileName, sha1 = "", seedersOnline } of await client.listFiles(groupId)) {
    if (knownContents.has(sha1) || namesUnderWay.has(fileName) || seedersOnline === 0) continue;
    try {
      await client.downloadFile(groupId, fileName, `${folder}/`);
    } catch (error) {
      // One file that cannot be fetched does not keep the others from being fetched.
      fail(error);
    }
  }
  for (const download of await client.waitForDownloads()) {
    if (download.state === "failed") fail(new MiniTorrentError(download.code, download.reason));
  }
}

/** Says why, and lets the script end with exit code 1. */
function fail(error: unknown): void {
  console.error(asMiniTorrentError(error).message);
  process.exitCode = 1;
}
