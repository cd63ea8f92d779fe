// What is suggested for a name that is no command: what is meant, or a slip, and never the opposite.
import assert from "node:assert/strict";
import { test } from "node:test";
import { commands } from "../../../src/cli/commands.ts";
import { bySpelling, meantCommands } from "../../../src/cli/meant-commands.ts";
import { TRACKER_COMMANDS } from "../../../src/cli/tracker-console.ts";
import { withoutPassword } from "../../../src/cli/usage.ts";

const names = commands.map(({ name }) => name);

test("names of other programs lead to the command that does that here", () => {
  const meant: Record<string, string[]> = {
    delete_file: ["stop_share"],
    deleteFile: ["stop_share"],
    "remove-files": ["stop_share"],
    remove_share: ["stop_share"],
    delete_group: ["leave_group"],
    remove_user: ["remove_member"],
    kick_member: ["remove_member"],
    approve_user: ["accept_request"],
    deny_request: ["reject_request"],
    stop_download: ["pause"],
    cancel_download: ["cancel"],
    start_share: ["upload_file"],
    add_file: ["upload_file"],
    list_downloads: ["show_downloads"],
    list_peers: ["peers"],
    list_users: ["list_members"],
    unpause: ["resume"],
    share_folder: ["upload_file"],
    publish_share: ["update_share"],
    update: ["update_share"],
    subscribe: ["follow"],
    choose_files: ["select"],
    stop: ["pause", "stop_share"],
    delete: ["stop_share", "cancel", "remove_member"],
  };
  for (const [typed, expected] of Object.entries(meant))
    assert.deepEqual(meantCommands(typed, names), expected, typed);
});

test("a slip leads to the command, and a beginning to all that begin so", () => {
  const slips: Record<string, string[]> = {
    lst_groups: ["list_groups"],
    logni: ["login"],
    LOGIN: ["login"],
    creategroup: ["create_group"],
    upload_files: ["upload_file"],
    accept: ["accept_request"],
    export: ["export_torrent", "export_certificate"],
  };
  for (const [typed, expected] of Object.entries(slips))
    assert.deepEqual(meantCommands(typed, names), expected, typed);
});

test("a command that does the opposite, or something else, is not suggested", () => {
  for (const typed of [
    "deletegroup",
    "startshare",
    "import_torrent",
    "delete_account",
    "xyzzy",
    "reject_file",
    "q",
  ])
    assert.deepEqual(meantCommands(typed, names), [], typed);
  for (const typed of ["add_account", "add_group", "restore", "start"])
    assert.deepEqual(bySpelling(typed, Object.keys(TRACKER_COMMANDS)), [], typed);
  assert.deepEqual(bySpelling("stauts", Object.keys(TRACKER_COMMANDS)), ["status"]);
});

test("a line that may hold a password is kept without it, also where nothing is suggested", () => {
  for (const name of [
    "logni",
    "lgin",
    "loggin",
    "create_usr",
    "createuser",
    "crate_user",
    "register",
    "signup",
    "add_user",
  ])
    assert.equal(withoutPassword(commands, `${name} alice secret`), `${name} alice`, name);
});
