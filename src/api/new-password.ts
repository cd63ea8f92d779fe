// How long a new password has to be where somebody is asked for it, at the prompt and on the page.

/**
 * NIST SP 800-63B-3, 5.1.1.2, has 8; revision 4, 3.1.1.2, has 15 for a password alone, which the prompt recommends. One that is given
 * in the command's line may be shorter, so that scripts which do so keep working.
 */
export const LEAST_PASSWORD_CHARACTERS = 8;

/** Code points, in the form in which a password is hashed. */
export function passwordCharacters(password: string): number {
  return [...password.normalize("NFC")].length;
}
