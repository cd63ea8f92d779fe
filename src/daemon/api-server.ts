// The daemon's HTTP server: serves the table of endpoints, events and the OpenAPI document with Fastify. Who may call is decided by
// a guard; on the Unix socket, which only its owner can open, there is none.
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { join } from "node:path";
import swagger from "@fastify/swagger";
import {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
} from "fastify";
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
} from "fastify-type-provider-zod";
import type { Logger } from "pino";
import { z } from "zod";
import { asMiniTorrentError, type ErrorCode, MiniTorrentError } from "../api/errors.ts";
import { later } from "../net/timers.ts";
import type { Guard } from "./access.ts";
import type { ContentServer } from "./content-server.ts";
import type { ContentTickets } from "./content-tickets.ts";
import type { DaemonServices } from "./daemon-services.ts";
import { BROWSER_SESSION_MS, type TokenInfo } from "./daemon-store.ts";
import { API_PREFIX, type Endpoint, type EndpointName, endpoints, type Scope } from "./endpoints.ts";
import { LIST_NAMES, type ListName } from "./event-lists.ts";
import type { EventStream } from "./event-stream.ts";
import { type HandlerContext, handlers } from "./handlers.ts";
import { HttpRefusal } from "./http-refusal.ts";
import type { Page } from "./page.ts";
import type { Roots } from "./roots.ts";

/** A path, a name and a password fit many times. */
const MOST_BODY_BYTES = 64 * 1024;
/** A name in a path: 1,024 characters of three bytes, each written as %XX. */
const MOST_PARAMETER_CHARACTERS = 9 * 1_024;
const MOST_HEADER_BYTES = 16 * 1024;
/** For the body of a request, but the content of an upload: that must only never stand still so long. */
const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;
/** How often Node looks for requests whose head takes longer. */
const TIMEOUT_CHECK_PERIOD_MS = 5_000;

/** Type of the content of an upload. */
const OCTETS = "application/octet-stream";

/** HTTP status (RFC 9110) of an error code; 422 for the others: understood, and refused. */
const STATUS_OF: Partial<Record<ErrorCode, number>> = {
  USAGE: 400,
  INVALID_ARGUMENT: 400,
  INVALID_ADDRESS: 400,
  INVALID_INVITE: 400,
  INVALID_TRACKER_INFO: 400,
  MALFORMED_MESSAGE: 400,
  BAD_CREDENTIALS: 403,
  PATH_REFUSED: 403,
  INVITE_REFUSED: 403,
  NOT_A_MEMBER: 403,
  NOT_THE_OWNER: 403,
  UNKNOWN_GROUP: 404,
  UNKNOWN_USER: 404,
  UNKNOWN_INVITE: 404,
  UNKNOWN_FILE: 404,
  UNKNOWN_DOWNLOAD: 404,
  UNKNOWN_UPLOAD: 404,
  NO_SUCH_REQUEST: 404,
  NOT_SHARED: 404,
  FILE_NOT_FOUND: 404,
  TRACKERS_UNKNOWN: 409,
  NOT_LOGGED_IN: 409,
  OTHER_TRACKERS: 409,
  ALREADY_LOGGED_IN: 409,
  ALREADY_A_MEMBER: 409,
  ALREADY_REQUESTED: 409,
  USER_EXISTS: 409,
  GROUP_EXISTS: 409,
  FILE_EXISTS: 409,
  DOWNLOAD_EXISTS: 409,
  TOO_MANY_ATTEMPTS: 429,
  TRACKERS_UNREACHABLE: 503,
  TRACKER_BUSY: 503,
  TRACKER_CANNOT_WRITE: 503,
  DISK_FULL: 507,
  INTERNAL: 500,
};

export interface ApiOptions
  extends Pick<
    HandlerContext,
    "client" | "daemon" | "session" | "trackers" | "tokens" | "onLink" | "onStop"
  > {
  readonly services: DaemonServices;
  readonly tickets: ContentTickets;
  readonly content: ContentServer;
  readonly events: EventStream;
  readonly log: Logger;
  readonly version: string;
  /** Whether the token or session of that name is still good. */
  readonly isGood: (callerName: string) => boolean;
  /** undefined where every caller may do everything: on the Unix socket. */
  readonly guard?: Guard;
  /** Called with the connection of each caller that the guard lets in. */
  readonly onLetIn?: (socket: Socket) => void;
  /** The page for browsers; undefined: none is served. */
  readonly page?: Page;
  /** Where callers may name paths; undefined: everywhere. */
  readonly roots?: Roots;
}

/** The server, which does not listen yet. */
export async function createApi(options: ApiOptions): Promise<FastifyInstance> {
  const { guard, log, version } = options;
  const server = fastify({
    bodyLimit: MOST_BODY_BYTES,
    forceCloseConnections: true,
    http: {
      maxHeaderSize: MOST_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_PERIOD_MS,
    },
    routerOptions: { maxParamLength: MOST_PARAMETER_CHARACTERS },
    // A HEAD of a stream of events would be one that nobody reads.
    exposeHeadRoutes: false,
  });
  server.decorateRequest("caller", undefined);
  // A form of another page can send text/plain without asking; JSON it cannot.
  server.removeContentTypeParser("text/plain");
  server.addHook("preParsing", async (request, _reply, payload) => {
    if (hasBody(request.raw) && request.headers["content-type"] !== OCTETS) endIfLate(request.raw);
    return payload;
  });
  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  server.setErrorHandler((error: FastifyError, _request, reply) => answerError(error, reply, log));
  server.setNotFoundHandler((request, reply) =>
    reply.code(404).send({
      code: "USAGE",
      error: `There is no ${request.method} ${request.url.split("?")[0]}; GET ${API_PREFIX}/openapi.json lists the calls.`,
    }),
  );
  await server.register(swagger, {
    openapi: { openapi: "3.1.0", info: { title: "miniTorrent", version } },
    transform: jsonSchemaTransform,
  });
  await server.register(
    async (api) => {
      for (const name of Object.keys(endpoints) as EndpointName[]) addEndpoint(api, name, options);
      api.get("/events", { onRequest: guarded(options, "read"), schema: { hide: true } }, (request, reply) =>
        watch(options, request, reply),
      );
      api.get("/openapi.json", { onRequest: guarded(options, "read"), schema: { hide: true } }, () =>
        server.swagger(),
      );
      await api.register((raw) => addUploadContent(raw, options));
      // For monitoring. It needs no token, since it says only that the daemon answers.
      api.get("/health", { schema: { hide: true } }, () => ({ ok: true }));
      addContent(api, options);
    },
    { prefix: API_PREFIX },
  );
  if (options.page !== undefined) addPage(server, options.page, guard);
  return server;
}

/** RFC 9112, 6.3. Without a body nothing is read, and the end of the request is not seen either. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/** The whole body must come in time. */
function endIfLate(request: IncomingMessage): void {
  const timer = later("late request", REQUEST_TIMEOUT_MS, () => request.destroy());
  timer.unref();
  for (const event of ["end", "close"]) request.once(event, () => clearTimeout(timer));
}

declare module "fastify" {
  interface FastifyRequest {
    /** Whose token or session it is; undefined on the Unix socket, and for calls without a token. */
    caller: TokenInfo | undefined;
  }
}

function guarded(
  { guard, onLetIn }: Pick<ApiOptions, "guard" | "onLetIn">,
  scope: Scope | "none",
): (request: FastifyRequest) => Promise<void> {
  return async (request) => {
    if (scope === "none") {
      guard?.checkHost(request.raw);
      return;
    }
    request.caller = guard?.check(request.raw, scope);
    onLetIn?.(request.raw.socket);
  };
}

function addEndpoint(api: FastifyInstance, name: EndpointName, options: ApiOptions): void {
  const { method, path, scope, summary, answer, params, query, body, isPathInside }: Endpoint =
    endpoints[name];
  const { client, daemon, session, trackers, tokens, tickets, services, roots } = options;
  const { events, onLink, onStop, guard } = options;
  // Which name goes with which input, the compiler cannot follow; the schemas of the same entry have checked it.
  const handle = handlers[name] as (context: HandlerContext, input: object) => unknown;
  api.route({
    method,
    url: path,
    onRequest: guarded(options, scope),
    schema: {
      operationId: name,
      summary,
      ...(params && { params }),
      ...(query && { querystring: query }),
      ...(body && { body }),
      response: { 200: answer },
    },
    handler: async (request, reply) => {
      const gone = new AbortController();
      reply.raw.once("close", () => gone.abort());
      const input: Inputs = {
        ...asObject(request.params),
        ...asObject(request.query),
        ...asObject(request.body),
      };
      if (roots !== undefined) checkPaths(isPathInside === true ? {} : input, roots);
      const context: HandlerContext = {
        client,
        daemon,
        session,
        trackers,
        tokens,
        tickets,
        services,
        roots,
        onLink,
        onStop,
        caller: request.caller,
        browser: guard && browserOf(guard, request, reply),
        onHashing: (hashed, progress) =>
          events.progressed("hash-progress", hashed, { path: hashed, ...progress }),
        signal: gone.signal,
      };
      return await handle(context, input);
    },
  });
}

function browserOf(
  guard: Guard,
  request: FastifyRequest,
  reply: FastifyReply,
): NonNullable<HandlerContext["browser"]> {
  return {
    enter: (link) => {
      const secrets = guard.enter(request.raw, link);
      void reply.header("set-cookie", guard.cookieWith(secrets, BROWSER_SESSION_MS));
      return secrets.pageKey;
    },
    leave: () => {
      if (request.caller !== undefined) guard.leave(request.caller);
      void reply.header("set-cookie", guard.endedCookie);
    },
  };
}

const contentQuery = z.object({
  path: z.string().max(4_096).optional(),
  offset: z.coerce.number().int().nonnegative().optional(),
});

/** The content of an upload: bytes as they are, written at the pace of the disk. */
async function addUploadContent(api: FastifyInstance, options: ApiOptions): Promise<void> {
  const { services } = options;
  api.addContentTypeParser(OCTETS, (_request, payload, done) => done(null, payload));
  api.put<{
    Params: { uploadId: string };
    Querystring: z.output<typeof contentQuery>;
    Body: IncomingMessage;
  }>(
    "/uploads/:uploadId/content",
    {
      onRequest: guarded(options, "control"),
      schema: { hide: true, querystring: contentQuery },
      bodyLimit: Number.MAX_SAFE_INTEGER,
    },
    async ({ params, query, body }) => {
      // Node closes a connection on which nothing moves for that time.
      body.socket.setTimeout(REQUEST_TIMEOUT_MS);
      // After a refusal the rest is read too: a browser that is still sending would not read the answer.
      const chunks: AsyncIterable<Uint8Array> = body.iterator({ destroyOnReturn: false });
      try {
        return await services.uploads.receive(params.uploadId, query.path ?? "", query.offset ?? 0, chunks);
      } finally {
        body.resume();
        body.socket.setTimeout(0);
      }
    },
  );
}

/** Files of shares, by tickets: what plays a video sends no token. */
function addContent(api: FastifyInstance, { guard, onLetIn, tickets, content }: ApiOptions): void {
  api.route<{ Params: { ticket: string } }>({
    method: ["GET", "HEAD"],
    url: "/content/:ticket/:name",
    schema: { hide: true },
    onRequest: async (request) => guard?.checkOwnPage(request.raw),
    handler: async (request, reply) => {
      const file = tickets.fileOf(request.params.ticket);
      if (file === undefined) {
        throw new HttpRefusal(
          404,
          "TOKEN_NEEDED",
          "This address is not good any more: ask for a new one, with POST /content-tickets.",
        );
      }
      onLetIn?.(request.raw.socket);
      await content.serve(file, request.raw, reply.raw, () => void reply.hijack());
    },
  });
}

/** Whatever is not part of the API may be part of the page. */
function addPage(server: FastifyInstance, page: Page, guard: Guard | undefined): void {
  server.route({
    method: ["GET", "HEAD"],
    url: "/*",
    schema: { hide: true },
    onRequest: async (request) => guard?.checkHost(request.raw),
    handler: async ({ url, headers }, reply) => {
      const answer = await page.answer(url.split("?")[0] ?? "", {
        encodings: headers["accept-encoding"],
        known: headers["if-none-match"],
      });
      if (answer === undefined) return reply.callNotFound();
      return reply.code(answer.status).headers(answer.headers).send(answer.body);
    },
  });
}

/** The inputs of all calls; those that are paths of this machine have one of these names. */
interface Inputs {
  readonly path?: string;
  readonly destinationPath?: string;
  /** Of a share: in a folder as destination, it becomes a name there. */
  readonly fileName?: string;
}

/** @throws MiniTorrentError PATH_REFUSED */
function checkPaths({ path, destinationPath, fileName = "" }: Inputs, roots: Pick<Roots, "check">): void {
  if (path !== undefined) roots.check(path);
  if (destinationPath === undefined) return;
  roots.check(destinationPath);
  roots.check(join(destinationPath, fileName));
}

function asObject(value: unknown): object {
  return typeof value === "object" && value !== null ? value : {};
}

function watch({ events, isGood }: ApiOptions, request: FastifyRequest, reply: FastifyReply): void {
  if (events.isFull)
    throw new HttpRefusal(
      503,
      "LIMIT_REACHED",
      "As many event streams are open as the daemon allows; close one.",
    );
  const { raw } = reply;
  const { caller, query, headers } = request;
  const lists = listsIn(query);
  reply.hijack();
  raw.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
  const lastEventId = headers["last-event-id"];
  raw.once("close", () => events.leave(raw));
  events.join(raw, {
    lists,
    lastEventId: typeof lastEventId === "string" ? lastEventId : undefined,
    isGood: () => caller === undefined || isGood(caller.name),
  });
}

/** @throws MiniTorrentError INVALID_ARGUMENT */
function listsIn(query: unknown): readonly ListName[] {
  const { lists } = asObject(query) as { lists?: unknown };
  if (lists === undefined) return LIST_NAMES;
  const names = String(lists)
    .split(",")
    .filter((name) => name !== "");
  const isList = (name: string): name is ListName => LIST_NAMES.some((known) => known === name);
  if (names.every(isList)) return LIST_NAMES.filter((name) => names.includes(name));
  throw new MiniTorrentError("INVALID_ARGUMENT", `lists names some of ${LIST_NAMES.join(", ")}, or none.`);
}

function answerError(error: FastifyError, reply: FastifyReply, log: Logger): void {
  if (hasZodFastifySchemaValidationErrors(error)) {
    const [first] = error.validation;
    const where =
      first === undefined
        ? ""
        : `${first.instancePath.slice(1).replaceAll("/", ".") || error.validationContext}: `;
    void reply
      .code(400)
      .send({ code: "INVALID_ARGUMENT", error: `${where}${first?.message ?? "wrong form"}` });
    return;
  }
  // Fastify's own refusals: a body that is too large, no JSON, or of another type.
  if (error.code?.startsWith("FST_") && error.statusCode !== undefined && error.statusCode < 500) {
    void reply.code(error.statusCode).send({ code: "MALFORMED_MESSAGE", error: `${error.message}.` });
    return;
  }
  const known = asMiniTorrentError(error);
  const status = known instanceof HttpRefusal ? known.status : (STATUS_OF[known.code] ?? 422);
  if (known.code === "INTERNAL") log.error({ err: error }, "a call failed");
  if (known.retryAfterMs !== undefined)
    void reply.header("retry-after", Math.ceil(known.retryAfterMs / 1_000));
  void reply.code(status).send({ code: known.code, error: known.message });
}
