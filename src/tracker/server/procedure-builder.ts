// Builds the procedures of the clients' API. Each has a kind, a zod schema of its input and a function; the types of the client's
// calls follow from them (`ApiOf`). Knows nothing of connections and messages: api-calls.ts runs procedures.
import { type ZodError, type ZodType, z } from "zod";

export type ProcedureKind = "query" | "mutation" | "subscription";

/** The input of a call does not have the form that its procedure requires. */
export class MalformedInput extends Error {
  override readonly cause: ZodError;

  constructor(cause: ZodError) {
    super("the input of a call is malformed");
    this.cause = cause;
  }
}

/** Begins a subscription: `tell` is called with each event. @returns ends it */
export type Subscribe<Event> = (tell: (event: Event) => void) => () => void;

/** @typeParam Caller what a call comes with: the connection, and the services of the tracker */
export interface Procedure<Caller, Kind extends ProcedureKind, Input, Output> {
  readonly kind: Kind;
  readonly input: ZodType<unknown, Input>;
  /** @throws MalformedInput for an input of the wrong form; what the procedure throws */
  run(caller: Caller, input: unknown): Promise<Output>;
}

export type AnyProcedure<Caller> = Procedure<Caller, ProcedureKind, unknown, unknown>;

type Work<Context, Schema extends ZodType, Output> = (call: {
  readonly ctx: Context;
  readonly input: z.output<Schema>;
}) => Output | Promise<Output>;

/** Whatever comes as input is ignored. */
const NO_INPUT = z.unknown().transform(() => undefined) as unknown as ZodType<void, void>;

class ProcedureBuilder<Caller, Context, Schema extends ZodType> {
  readonly #contextOf: (caller: Caller) => Context;
  readonly #schema: Schema;

  constructor(contextOf: (caller: Caller) => Context, schema: Schema) {
    this.#contextOf = contextOf;
    this.#schema = schema;
  }

  input<Input extends ZodType>(schema: Input): ProcedureBuilder<Caller, Context, Input> {
    return new ProcedureBuilder(this.#contextOf, schema);
  }

  query<Output>(work: Work<Context, Schema, Output>) {
    return this.#procedure("query", work);
  }

  mutation<Output>(work: Work<Context, Schema, Output>) {
    return this.#procedure("mutation", work);
  }

  subscription<Event>(work: Work<Context, Schema, Subscribe<Event>>) {
    return this.#procedure("subscription", work);
  }

  #procedure<Kind extends ProcedureKind, Output>(
    kind: Kind,
    work: Work<Context, Schema, Output>,
  ): Procedure<Caller, Kind, z.input<Schema>, Output> {
    const schema = this.#schema;
    const contextOf = this.#contextOf;
    return {
      kind,
      input: schema as ZodType<unknown, z.input<Schema>>,
      // The caller first: one without a session learns nothing about the form of an input.
      run: async (caller, input) => {
        const ctx = contextOf(caller);
        const { data, error } = schema.safeParse(input);
        if (error !== undefined) throw new MalformedInput(error);
        return await work({ ctx, input: data as z.output<Schema> });
      },
    };
  }
}

/**
 * Begins a procedure: `procedure(contextOf).input(schema).query(({ ctx, input }) => …)`.
 *
 * @param contextOf makes what the procedure works with; throws if the caller may not call it
 */
export function procedure<Caller, Context>(contextOf: (caller: Caller) => Context) {
  return new ProcedureBuilder(contextOf, NO_INPUT);
}

/** Procedures by name, also in groups. */
export interface Router<Caller> {
  readonly [name: string]: AnyProcedure<Caller> | Router<Caller>;
}

/** All procedures of a router by path, such as `groups.list`. */
export function proceduresOf<Caller>(router: Router<Caller>): Map<string, AnyProcedure<Caller>> {
  const all = new Map<string, AnyProcedure<Caller>>();
  for (const [name, one] of Object.entries(router)) {
    if (isProcedure(one)) all.set(name, one);
    else for (const [path, inner] of proceduresOf(one)) all.set(`${name}.${path}`, inner);
  }
  return all;
}

function isProcedure<Caller>(one: Router<Caller>[string]): one is AnyProcedure<Caller> {
  return typeof one.run === "function";
}

/** What a client hears of a subscription. */
export interface EventListener<Event> {
  onStarted?(): void;
  onData?(event: Event): void;
  onError?(error: unknown): void;
  onComplete?(): void;
}

interface CallsOf<Input, Output> {
  readonly query: { query(input: Input): Promise<Output> };
  readonly mutation: { mutate(input: Input): Promise<Output> };
  readonly subscription: {
    subscribe(
      input: Input,
      listener: EventListener<Output extends Subscribe<infer Event> ? Event : never>,
    ): { unsubscribe(): void };
  };
}

/** A router's procedures as a client calls them: `api.groups.list.query(input)`. */
export type ApiOf<R> = {
  readonly [Name in keyof R]: R[Name] extends Procedure<never, infer Kind, infer Input, infer Output>
    ? CallsOf<Input, Output>[Kind]
    : ApiOf<R[Name]>;
};

// Declarations of what is made here name it (npm run build).
export type { ProcedureBuilder };
