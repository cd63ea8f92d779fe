// The lists that a reader of events may ask for, beside the status and what happens.

export const LIST_NAMES = ["downloads", "shares"] as const;
export type ListName = (typeof LIST_NAMES)[number];
