import type { Translation } from "../../state/messages.ts";
import type { groups as english } from "../en/groups.ts";

export const groups: Translation<typeof english> = {
  title: "Gruppen",
  "share.title": "Freigeben",
  "choose.title": "Dateien wählen",
};
