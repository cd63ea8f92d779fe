// Shares hang on the membership that they were made in. When it ends they count for nothing, and the registry takes them out of
// what it reads of a file's shares, so that nobody looks through the shares of thousands of former members.
import type { Anchors } from "../registry/registry.ts";

export const shareAnchors: Anchors = {
  anchorOf: ({ kind, value }) => {
    if (kind !== "share" || typeof value !== "object" || value === null) return "";
    if ("withdrawnAtMs" in value) return "";
    return "membershipId" in value && typeof value.membershipId === "string" ? value.membershipId : "";
  },
  endedBy: ({ kind, key }) => (kind === "revocation" ? key.split("\u001f")[1] : undefined),
};
