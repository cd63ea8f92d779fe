// A file of a group, as a key of maps: group ids and file names cannot have the separator.

export interface FileId {
  readonly groupId: string;
  readonly fileName: string;
}

export function fileKey({ groupId, fileName }: FileId): string {
  return `${groupId}\u001f${fileName}`;
}
