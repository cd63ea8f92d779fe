// Arguments that several commands take, by the names that help shows.
import type { Argument, ArgumentKind } from "./command-types.ts";

export const groupArgument = (kind: ArgumentKind): Argument => ({ name: "group_id", kind });
export const userArgument = (kind: ArgumentKind): Argument => ({ name: "user_id", kind });
/** A file or folder, in commands that are for folders above all. */
export const shareArgument = (kind: ArgumentKind): Argument => ({ name: "share", kind });
export const fileArgument = (kind: ArgumentKind): Argument => ({ name: "file_name", kind });
