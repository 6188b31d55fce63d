import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { BASE62, randomText } from '../common/random-text';

export const KEY_TYPES = ['client', 'server'] as const;
export type KeyType = (typeof KEY_TYPES)[number];

export const ENVIRONMENTS = ['development', 'production'] as const;
export type Environment = (typeof ENVIRONMENTS)[number];

const RANDOM_LENGTH = 32;
const CHECKSUM_LENGTH = 6;
const FORMAT = new RegExp(`^amb_(dev|live)_(ck|sk)_[0-9A-Za-z]{${RANDOM_LENGTH + CHECKSUM_LENGTH}}$`);
/** Enough to recognize a key in a list, too little to use it. */
export const SHOWN_PREFIX_LENGTH = 16;

/** A new key: `amb_<dev|live>_<ck|sk>_`, 32 random characters (190 bits), 6 of checksum. Shown once, stored as digest. */
export function generateApiKey(keyType: KeyType, environment: Environment): string {
  const kind = `amb_${environment === 'production' ? 'live' : 'dev'}_${keyType === 'client' ? 'ck' : 'sk'}_`;
  const unchecked = kind + randomText(BASE62, RANDOM_LENGTH);
  return unchecked + checksum(unchecked);
}

/** Whether the text can be a key at all: spares the database the misspelt and the made-up ones. */
export function isWellFormedApiKey(text: string): boolean {
  return FORMAT.test(text) && checksum(text.slice(0, -CHECKSUM_LENGTH)) === text.slice(-CHECKSUM_LENGTH);
}

/** What is stored of a key. Keys are random, so a plain SHA-256 cannot be searched backwards. */
export function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

export function shownPrefix(key: string): string {
  return key.slice(0, SHOWN_PREFIX_LENGTH);
}

function checksum(text: string): string {
  let rest = crc32(text);
  let digits = '';
  for (let i = 0; i < CHECKSUM_LENGTH; i += 1) {
    digits = BASE62.charAt(rest % BASE62.length) + digits;
    rest = Math.floor(rest / BASE62.length);
  }
  return digits;
}
