// How a call of the API becomes an HTTP request: parameters go into the path, then the query, and the rest into the body.
import type { EndpointRow } from "../../build/endpoint-table.ts";

export interface CallRequest {
  readonly method: string;
  /** Below /api/v1. */
  readonly path: string;
  readonly body: string | undefined;
}

/** @param input parameters, query and body in one object; undefined values are left out */
export function requestOf(row: EndpointRow, input: Readonly<Record<string, unknown>>): CallRequest {
  const [method, template, query, body] = row;
  const path = template.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(String(input[name])));
  const search = new URLSearchParams();
  for (const name of query) if (input[name] !== undefined) search.set(name, String(input[name]));
  const asked = search.size === 0 ? path : `${path}?${search}`;
  if (body === null) return { method, path: asked, body: undefined };
  const given = body.filter((name) => input[name] !== undefined).map((name) => [name, input[name]]);
  return { method, path: asked, body: JSON.stringify(Object.fromEntries(given)) };
}
