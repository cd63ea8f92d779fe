// What stands between a new daemon and its first group: trackers, an account, a login, an invite.
import { passwordCharacters } from "../../../src/api/new-password.ts";

export type Pasted =
  | { readonly kind: "nothing" }
  | { readonly kind: "invite"; readonly invite: string }
  | { readonly kind: "trackers"; readonly text: string };

const INVITE = /minitorrent:[\w-]+/;

/** People paste whole messages: an invite is found in them. Anything else is taken as addresses of trackers. */
export function readPasted(text: string): Pasted {
  const [invite] = INVITE.exec(text.replace(/\s*\n\s*/g, "\n")) ?? [];
  if (invite !== undefined) return { kind: "invite", invite };
  const trimmed = text.trim();
  return trimmed === "" ? { kind: "nothing" } : { kind: "trackers", text: trimmed };
}

export type Step =
  | { readonly name: "setTrackers"; readonly pasted: Exclude<Pasted, { kind: "nothing" }> }
  | { readonly name: "createUser" }
  | { readonly name: "login" }
  | { readonly name: "joinByInvite"; readonly invite: string };

/** @param isNew the account is made first */
export function stepsFor(isNew: boolean, pasted: Pasted, trackersKnown: boolean): Step[] {
  const steps: Step[] = [];
  // An invite brings trackers; those that are known already stay, unless others are typed.
  if (pasted.kind === "trackers" || (pasted.kind === "invite" && !trackersKnown)) {
    steps.push({ name: "setTrackers", pasted });
  }
  if (isNew) steps.push({ name: "createUser" });
  steps.push({ name: "login" });
  if (pasted.kind === "invite") steps.push({ name: "joinByInvite", invite: pasted.invite });
  return steps;
}

/** The field that an error is about. */
export type Place = "name" | "password" | "pasted" | "form";

const OF_PASTED = new Set(["INVALID_INVITE", "INVITE_REFUSED", "INVALID_ADDRESS", "TRACKERS_KNOWN"]);

/** @param code of the API; @param message its sentence */
export function placeOf(step: Step["name"], code: string, message: string): Place {
  if (step === "setTrackers" || step === "joinByInvite" || OF_PASTED.has(code)) return "pasted";
  if (code === "USER_EXISTS" || code === "UNKNOWN_USER") return "name";
  if (code === "BAD_CREDENTIALS" || code === "TOO_MANY_ATTEMPTS") return "password";
  if (code === "INVALID_ARGUMENT") return /password/i.test(message) ? "password" : "name";
  return "form";
}

const SHORT_CHARACTERS = 12;

export type PasswordStrength = "empty" | "guessable" | "short" | "long";

/** What can be said without knowing all passwords: guessing begins with the name, with repetitions, and with short ones. */
export function passwordStrength(password: string, userId: string): PasswordStrength {
  if (password === "") return "empty";
  const folded = password.toLowerCase();
  const isNamed = userId.length > 2 && folded.includes(userId.toLowerCase());
  if (isNamed || new Set(folded).size < 5) return "guessable";
  return passwordCharacters(password) < SHORT_CHARACTERS ? "short" : "long";
}
