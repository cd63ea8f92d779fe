import assert from "node:assert/strict";
import { test } from "node:test";
import { endpoints } from "../../../src/daemon/endpoints.ts";
import { endpointTable } from "../../../web/build/endpoint-table.ts";
import { requestOf } from "../../../web/src/state/request.ts";

/** As the bundle has it: in JSON nothing is undefined. */
const table: ReturnType<typeof endpointTable> = JSON.parse(JSON.stringify(endpointTable(endpoints)));
const requestFor = (name: keyof typeof endpoints, input: Record<string, unknown>) => {
  const row = table[name];
  assert.ok(row);
  return requestOf(row, input);
};

test("a call's inputs go into its path, query and body, as the daemon's table says", () => {
  assert.deepEqual(requestFor("stopShare", { groupId: "a/b", fileName: "50 %", everywhere: true }), {
    method: "DELETE",
    path: "/shares/a%2Fb/50%20%25?everywhere=true",
    body: undefined,
  });
  assert.deepEqual(
    requestFor("downloadFile", { groupId: "g", fileName: "f", destinationPath: "/d", only: undefined }),
    { method: "POST", path: "/downloads", body: '{"groupId":"g","fileName":"f","destinationPath":"/d"}' },
  );
  assert.deepEqual(requestFor("status", {}), { method: "GET", path: "/status", body: undefined });
});

test("what is not given is neither in the query nor in the body", () => {
  const { path } = requestFor("listInside", { groupId: "g", fileName: "f", after: undefined });
  assert.equal(path, "/groups/g/shares/f/files");
});

test("the page's table has every call of the daemon", () => {
  assert.deepEqual(Object.keys(table), Object.keys(endpoints));
});
