import { groups } from "./groups.ts";
import { shell } from "./shell.ts";
import { transfers } from "./transfers.ts";

export const en = { shell, groups, transfers };
