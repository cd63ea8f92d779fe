// A fake client to type to: node test/unit/cli/try-terminal.ts. Downloads run by the clock, people ask to join meanwhile.
import { setTimeout as after } from "node:timers/promises";
import { EventFeed } from "../../../src/cli/event-feed.ts";
import { Repl } from "../../../src/cli/repl.ts";
import { complete, FakeClient } from "./fake-client.ts";

const client = new FakeClient();
const feed = new EventFeed();
client.groups = [
  { groupId: "films", ownerId: "alice", memberCount: 3, standing: "owner" },
  { groupId: "builds", ownerId: "bob", memberCount: 12 },
];
client.files = [
  {
    fileName: "two words.mkv",
    lengthBytes: 1_073_741_824,
    sha1: "0".repeat(40),
    infoHash: "0".repeat(40),
    sharedBy: "bob",
    seedersOnline: 2,
    peersOnline: 3,
  },
];
client.onUpload = async (report, signal) => {
  for (let part = 0; part <= 50; part++) {
    report({ hashedBytes: part * 2e7, lengthBytes: 1e9 });
    await after(100, undefined, { signal });
  }
};
let asked = 0;
const clock = setInterval(() => {
  client.current = client.current.map((status) => {
    if (status.state !== "downloading") return status;
    if (status.piecesVerified >= 280) {
      const { groupId, fileName, destinationPath } = status;
      feed.push({ type: "download-complete", groupId, fileName, destinationPath, sha1: "0".repeat(40) });
      return complete(groupId, fileName);
    }
    const piecesVerified = status.piecesVerified + 2;
    return {
      ...status,
      piecesVerified,
      bytesVerified: piecesVerified * 1e6,
      secondsLeft: (280 - piecesVerified) / 20,
      sources: [
        { userId: "bob", isConnected: true, pieces: piecesVerified - 40, bytes: 1, rateBytesPerSecond: 1 },
      ],
    };
  });
}, 100);
const asking = setInterval(
  () => feed.push({ type: "join-requested", groupId: "films", userId: `user${++asked}` }),
  2500,
);
const repl = new Repl({
  client,
  feed,
  input: process.stdin,
  terminal: process.stdout,
  isColored: true,
  signal: new AbortController().signal,
  onForce: () => process.exit(130),
});
await repl.run();
clearInterval(clock);
clearInterval(asking);
process.stdin.destroy();
