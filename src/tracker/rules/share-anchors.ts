// A share depends on the membership that it was made in. When that ends, the registry removes the share from its index of the
// file's shares, so that look-ups do not read the shares of thousands of former members.
import type { Anchors } from "../registry/registry.ts";

export const shareAnchors: Anchors = {
  anchorOf: ({ kind, value }) => {
    if (kind !== "share" || typeof value !== "object" || value === null) return "";
    if ("withdrawnAtMs" in value) return "";
    return "membershipId" in value && typeof value.membershipId === "string" ? value.membershipId : "";
  },
  endedBy: ({ kind, key }) => (kind === "revocation" ? key.split("\u001f")[1] : undefined),
};
