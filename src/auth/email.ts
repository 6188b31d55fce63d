import { isEmail } from 'class-validator';
import { ApiError } from '../common/api-error';

/** The one spelling under which an address is kept. ASCII only, so that look-alikes stay apart. @throws ApiError INVALID_EMAIL */
export function normalizeEmail(text: string): string {
  const email = text.trim().toLowerCase();
  const isAscii = /^[\x21-\x7e]+$/.test(email);
  if (!isAscii || !isEmail(email)) throw new ApiError('INVALID_EMAIL');
  return email;
}
