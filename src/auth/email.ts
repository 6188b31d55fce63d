import { isEmail } from 'class-validator';

/**
 * The one spelling under which an address is kept. ASCII only, so that look-alikes stay apart.
 *
 * @returns undefined for what is no address
 */
export function normalizedEmail(text: string): string | undefined {
  const email = text.trim();
  // before the case is folded, which makes a k of the Kelvin sign
  const isAscii = /^[\x21-\x7e]+$/.test(email);
  return isAscii && isEmail(email) ? email.toLowerCase() : undefined;
}
