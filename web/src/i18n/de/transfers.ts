import type { Translation } from "../../state/messages.ts";
import type { transfers as english } from "../en/transfers.ts";

export const transfers: Translation<typeof english> = {
  title: "Übertragungen",
  "preview.title": "Vorschau",
  "schedule.title": "Zeitplan",
};
