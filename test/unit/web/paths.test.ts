import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  addressOf,
  GROUP_TABS,
  type Route,
  routeOf,
  SETTINGS_SECTIONS,
} from "../../../web/src/state/paths.ts";

const name = fc.string({ minLength: 1, unit: "grapheme" });

test("every address leads back to its view, whatever a group or file is called", () => {
  const routes: fc.Arbitrary<Route> = fc.oneof(
    fc.record({ view: fc.constant("transfers" as const), groupId: name, fileName: name }),
    fc.record({ view: fc.constant("group" as const), groupId: name, tab: fc.constantFrom(...GROUP_TABS) }),
    fc.record({ view: fc.constant("choose" as const), groupId: name, fileName: name }),
    fc.record({ view: fc.constant("share" as const), groupId: name }),
    fc.record({ view: fc.constant("preview" as const), groupId: name, fileName: name, path: name }),
    fc.record({ view: fc.constant("settings" as const), section: fc.constantFrom(...SETTINGS_SECTIONS) }),
    fc.constantFrom<Route>({ view: "groups" }, { view: "transfers" }, { view: "enter" }, { view: "share" }),
  );
  fc.assert(fc.property(routes, (route) => assert.deepEqual(routeOf(addressOf(route)), { ...route })));
});

test("what is no address of the page leads to the transfers", () => {
  for (const hash of ["", "#", "#/", "#/nothing", "#link=abc", "#/choose/one", "#/%E0%A4%A", "#/preview"]) {
    assert.deepEqual(routeOf(hash), { view: "transfers" }, hash);
  }
  assert.deepEqual(routeOf("#/groups/studio/nothing"), { view: "group", groupId: "studio", tab: "shares" });
  assert.deepEqual(routeOf("#/settings/nothing"), { view: "settings" });
});
