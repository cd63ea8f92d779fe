// The messages in which trackers report their clients to each other, and their validation. presence.ts applies them.
import { z } from "zod";
import { MiniTorrentError } from "../../api/errors.ts";
import {
  type AnnouncedTorrent,
  announcedTorrentSchema,
  MAX_OTHER_HOSTS,
  portSchema,
} from "../../api/schemas.ts";

/** Torrents in one message to another tracker: at about 70 bytes each, it is parsed in a millisecond or two. */
export const TORRENTS_PER_MESSAGE = 1_000;
/** Bound for a received message. */
const MAX_TORRENTS_IN_MESSAGE = 5_000;
/** A tracker serves 15,000 clients (server.ts). */
const MAX_CLIENTS_IN_ROLL = 20_000;

const messageSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("client"),
    connectionId: z.string().max(64),
    accountId: z.string().max(128),
    deviceId: z.string().regex(/^[0-9a-f]{64}$/),
    /** Addresses that it listens at, the one that its tracker sees first; empty if none may be named to others. */
    hosts: z.array(z.string().max(64)).max(MAX_OTHER_HOSTS + 1),
    port: portSchema.optional(),
    /** True: `add` begins the client's complete list; torrents that are not on it end. */
    isWhole: z.boolean(),
    /** False: more of the complete list follows. */
    isEnd: z.boolean().optional(),
    add: z.array(announcedTorrentSchema).max(MAX_TORRENTS_IN_MESSAGE),
    remove: z.array(z.string().max(64)).max(MAX_TORRENTS_IN_MESSAGE),
  }),
  z.object({ type: z.literal("gone"), connectionId: z.string().max(64) }),
  /** All clients of that tracker; any others are gone. Their torrents follow. */
  z.object({ type: z.literal("roll"), connectionIds: z.array(z.string().max(64)).max(MAX_CLIENTS_IN_ROLL) }),
]);
const messagesSchema = z.array(messageSchema);
export type PresenceMessage = z.infer<typeof messageSchema>;
export type ClientMessage = Extract<PresenceMessage, { type: "client" }>;

type ClientFacts = Pick<ClientMessage, "connectionId" | "accountId" | "deviceId"> & {
  readonly hosts: readonly string[];
  readonly port: number | undefined;
};

/** @throws MiniTorrentError MALFORMED_MESSAGE */
export function parsePresence(data: unknown): readonly PresenceMessage[] {
  const parsed = messagesSchema.safeParse(data);
  if (!parsed.success) {
    throw new MiniTorrentError("MALFORMED_MESSAGE", "A tracker sent presence of a wrong form.", {
      cause: parsed.error,
    });
  }
  return parsed.data;
}

/** One client's torrents, or changes to them. */
export function clientMessage(
  client: ClientFacts,
  add: readonly AnnouncedTorrent[],
  remove: readonly string[],
  list: { readonly isWhole: boolean; readonly isEnd?: boolean },
): ClientMessage {
  const { connectionId, accountId, deviceId, hosts, port } = client;
  return {
    ...{ type: "client", connectionId, accountId, deviceId, hosts: [...hosts] },
    ...(port === undefined ? {} : { port }),
    ...list,
    ...{ add: [...add], remove: [...remove] },
  };
}
