// A share or download is named by its group and its name.

/** One string for both; a group's name has no slash. */
export function shareKey(groupId: string, fileName: string): string {
  return `${groupId}/${fileName}`;
}
