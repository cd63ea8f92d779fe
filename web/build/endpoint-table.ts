// The table of API calls that the page carries: name, method, path, and which inputs go where. The schemas stay out of the bundle.
import type { Endpoint } from "../../src/daemon/endpoints.ts";

/** Method, path, names of inputs in the query, names of inputs in the body (null: the call has no body). It becomes JSON. */
export type EndpointRow = readonly [
  method: string,
  path: string,
  query: readonly string[],
  body: readonly string[] | null,
];

export function endpointTable(endpoints: Readonly<Record<string, Endpoint>>): Record<string, EndpointRow> {
  const rows = Object.entries(endpoints).map(([name, { method, path, query, body }]) => [
    name,
    [
      method,
      path,
      Object.keys(query?.shape ?? {}),
      body === undefined ? null : Object.keys(body.shape),
    ] as const,
  ]);
  return Object.fromEntries(rows) as Record<string, EndpointRow>;
}
