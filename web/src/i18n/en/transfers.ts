// Transfers, their details, limits, schedule and preview.
import type { Messages } from "../../state/messages.ts";

export const transfers = {
  title: "Transfers",
  "preview.title": "Preview",
  "schedule.title": "Schedule",
} as const satisfies Messages;
