import { createHmac, randomBytes } from 'node:crypto';
import { digestOf } from './api-key';

/** A client that lost the answer asks again: this long the same token gets the same child. Contract §4. */
export const RETRY_WINDOW_MS = 10_000;

const PREFIX = 'amb_rt_';

export function generateRefreshToken(): string {
  return PREFIX + randomBytes(32).toString('base64url');
}

/**
 * The token that follows this one. Derived rather than drawn, so that a retry gets the same child although only
 * digests are stored; without the secret it cannot be foreseen.
 */
export function childOf(refreshToken: string, secret: string): string {
  return PREFIX + createHmac('sha256', `refresh-token:${secret}`).update(refreshToken).digest('base64url');
}

/**
 * The child that was given for this token before, when its digest is this one: an instance with another first secret
 * may have given it. Undefined when it was derived with a secret that is in use no more.
 */
export function childGiven(
  refreshToken: string,
  digest: Buffer | null,
  secrets: readonly string[],
): string | undefined {
  return secrets
    .map((secret) => childOf(refreshToken, secret))
    .find((child) => digest?.equals(digestOf(child)));
}

/** What is known of a presented token, read under the lock on its session. */
export interface RefreshFacts {
  isSessionRevoked: boolean;
  isUserDisabled: boolean;
  expiresAt: Date;
  usedAt: Date | null;
}

export type RefreshDecision = 'rotate' | 'repeat' | 'refuse' | 'revoke';

/** A token is used once. Used again soon it is a retry; used again later somebody else has it, and the session ends. */
export function decideRefresh(facts: RefreshFacts, now: Date): RefreshDecision {
  if (facts.isSessionRevoked || facts.isUserDisabled || facts.expiresAt <= now) return 'refuse';
  if (facts.usedAt === null) return 'rotate';
  return now.getTime() - facts.usedAt.getTime() <= RETRY_WINDOW_MS ? 'repeat' : 'revoke';
}
