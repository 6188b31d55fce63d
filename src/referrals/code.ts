import { randomText } from '../common/random-text';

/** 31 symbols that cannot be taken for one another: no 0 O, no 1 I L. */
const ALPHABET = 'ABCDEFGHJKMNPQRSTUVWXYZ23456789';
const TYPEABLE = /^[A-Za-z0-9_ -]+$/;
const OWN_CODE = /^[A-Za-z0-9_-]{3,32}$/;

/** A new code. */
export function generateCode(length: number): string {
  return randomText(ALPHABET, length);
}

/**
 * The one spelling under which a code is found: upper-case, without spaces and hyphens. ASCII only, so that no
 * look-alike letter folds into another; the database derives the same from the stored code.
 *
 * @returns undefined for what cannot be a code
 */
export function canonicalCode(typed: string): string | undefined {
  if (!TYPEABLE.test(typed)) return undefined;
  return typed.replace(/[ -]/g, '').toUpperCase() || undefined;
}

/** Whether a developer may choose this code: 3 to 32 letters, digits, `_` and `-`. */
export function isOwnCode(code: string): boolean {
  return OWN_CODE.test(code) && canonicalCode(code) !== undefined;
}
