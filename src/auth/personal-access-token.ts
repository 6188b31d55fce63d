import { BASE62, randomText } from '../common/random-text';

const PREFIX = 'amb_dpat_';
const FORMAT = /^amb_dpat_[0-9A-Za-z]{32}$/;

/** A new personal access token: `amb_dpat_` and 32 random characters (190 bits). Shown once, stored as digest. */
export function generatePersonalAccessToken(): string {
  return PREFIX + randomText(BASE62, 32);
}

export function isPersonalAccessToken(text: string): boolean {
  return FORMAT.test(text);
}
