// Asks every tracker of a tracker_info.txt for its /health and prints a line for each. The exit code is 1 if one does not
// answer, does not serve, or is not connected to all others: for cron, or a monitor that runs commands.
//
//   bin/node examples/tracker-health.ts tracker_info.txt
import { get } from "node:https";
import { TLSSocket } from "node:tls";
import { z } from "zod";
import { formatAddress, type TrackerAddress } from "../src/api/addresses.ts";
import { countOf } from "../src/cli/display-text.ts";
import { readTrackerInfo } from "../src/cli/tracker-info.ts";
import { fingerprintOf } from "../src/identity/certificates.ts";

const TIMEOUT_MS = 5_000;
/** What this script reads of it; docs/operations.md has the rest. */
const healthSchema = z.object({
  isServing: z.boolean(),
  cannotWrite: z.object({ sentence: z.string() }).nullable(),
  clientsOnline: z.number(),
  links: z.array(z.object({ address: z.string(), state: z.string() })),
});
type Health = z.infer<typeof healthSchema>;

const [trackerInfo] = process.argv.slice(2);
if (trackerInfo === undefined) {
  console.error("usage: tracker-health.ts TRACKER_INFO");
  process.exit(2);
}

const reports = await Promise.all(readTrackerInfo(trackerInfo).map(report));
for (const { line } of reports) console.log(line);
process.exitCode = reports.every(({ isWell }) => isWell) ? 0 : 1;

async function report(tracker: TrackerAddress): Promise<{ line: string; isWell: boolean }> {
  const address = formatAddress(tracker);
  try {
    const health = await healthOf(tracker);
    const troubles = troublesOf(health);
    const state = troubles.length === 0 ? "well" : troubles.join("; ");
    return {
      line: `${address}  ${countOf(health.clientsOnline, "client")}  ${state}`,
      isWell: troubles.length === 0,
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { line: `${address}  no good answer: ${reason}`, isWell: false };
  }
}

function troublesOf({ isServing, cannotWrite, links }: Health): string[] {
  return [
    ...(isServing ? [] : ["serves no clients"]),
    ...(cannotWrite === null ? [] : [cannotWrite.sentence]),
    ...links
      .filter(({ state }) => state !== "connected")
      .map(({ address, state }) => `${address} is ${state}`),
  ];
}

/** @throws if it does not answer, or shows another certificate than the one that its line demands */
function healthOf({ host, port, fingerprint }: TrackerAddress): Promise<Health> {
  return new Promise((resolve, reject) => {
    // Trackers' certificates are self-signed; the fingerprint proves which tracker answers.
    const request = get(
      { host, port, path: "/health", rejectUnauthorized: false, agent: false, timeout: TIMEOUT_MS },
      async (response) => {
        try {
          if (fingerprint !== undefined && fingerprint !== shownFingerprint(response.socket)) {
            throw new Error("it shows another key than tracker_info.txt demands");
          }
          const parts: Buffer[] = [];
          for await (const part of response) parts.push(part);
          resolve(healthSchema.parse(JSON.parse(Buffer.concat(parts).toString())));
        } catch (error) {
          response.destroy();
          reject(error);
        }
      },
    );
    request.on("timeout", () => request.destroy(new Error(`silent for ${TIMEOUT_MS / 1000} s`)));
    request.on("error", reject);
  });
}

function shownFingerprint(socket: unknown): string | undefined {
  return socket instanceof TLSSocket ? fingerprintOf(socket.getPeerCertificate().raw) : undefined;
}
