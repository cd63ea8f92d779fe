// Shares a file, waits until other members together hold all of it, prints its SHA-1 and ends. It drives ./client as a
// program in any language can: commands go to its stdin, and with --json each line of its stdout is one JSON object.
//
//   bin/node examples/share-until-held.ts 192.0.2.1:6881 tracker_info.txt alice alice-password.txt studio disk.img
import { spawn } from "node:child_process";
import { once } from "node:events";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";

const [listen = "", trackerInfo = "", userId = "", passwordFile = "", groupId = "", path = ""] =
  process.argv.slice(2);
if (path === "") {
  console.error("usage: share-until-held.ts IP:PORT TRACKER_INFO USER PASSWORD_FILE GROUP FILE");
  process.exit(2);
}

/** The two kinds of line: the answer to a command, and an event. Only what this script reads is checked. */
const lineSchema = z.union([
  z.object({ event: z.string(), groupId: z.string().optional(), fileName: z.string().optional() }),
  z.object({
    command: z.string(),
    ok: z.boolean(),
    error: z.string().optional(),
    result: z.unknown().optional(),
  }),
]);
const shareSchema = z.object({ sha1: z.string() });

const client = spawn(
  join(import.meta.dirname, "../client"),
  [listen, trackerInfo, "--json", "--password-file", passwordFile],
  { stdio: ["pipe", "pipe", "inherit"] },
);
// A client that ended early no longer reads its commands; its exit code says that it failed.
client.stdin.on("error", () => undefined);
const ended = once(client, "exit");
client.stdin.write(`login ${userId}\nupload_file ${quoted(path)} ${groupId}\n`);

let sha1: string | undefined;
let isHeld = false;
for await (const text of createInterface({ input: client.stdout })) {
  const line = lineSchema.parse(JSON.parse(text));
  if ("event" in line) {
    const isOurs = line.groupId === groupId && line.fileName === basename(path);
    if (line.event === "held-by-others" && isOurs) isHeld = true;
  } else if (!line.ok) {
    console.error(`${line.command}: ${line.error}`);
    client.stdin.end();
  } else if (line.command === "upload_file") {
    ({ sha1 } = shareSchema.parse(line.result));
  }
  // At the end of its input the client logs out and ends. Until then it shares.
  if (isHeld) client.stdin.end();
}
const [exitCode] = await ended;
if (isHeld && sha1 !== undefined) console.log(`${sha1}  ${path}`);
process.exitCode = exitCode === 0 ? 0 : 1;

/** In double quotes the client reads every character as itself, except these two. */
function quoted(word: string): string {
  return `"${word.replace(/["\\]/g, "\\$&")}"`;
}
