// The page's own settings, as the browser keeps them: whatever it kept, only values that are known are used.

export type Theme = "system" | "light" | "dark";
export const LANGUAGES = ["en", "de"] as const;
export type Language = (typeof LANGUAGES)[number];
export const NOTICES = ["request", "accepted", "finished", "stuck"] as const;
export type Notice = (typeof NOTICES)[number];

export interface PageSettings {
  readonly theme: Theme;
  /** undefined: as the browser asks for contrast. */
  readonly textures: boolean | undefined;
  /** undefined: as the browser's. */
  readonly language: Language | undefined;
  /** Keys without Ctrl or Alt, such as J and K. */
  readonly singleKeys: boolean;
  readonly notices: readonly Notice[];
}

export function readSettings(text: string | undefined): PageSettings {
  const found = parsed(text);
  const { theme, textures, language, singleKeys, notices } = found;
  return {
    theme: theme === "light" || theme === "dark" ? theme : "system",
    textures: typeof textures === "boolean" ? textures : undefined,
    language: LANGUAGES.find((one) => one === language),
    singleKeys: singleKeys !== false,
    notices: NOTICES.filter((one) => Array.isArray(notices) && notices.includes(one)),
  };
}

function parsed(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
