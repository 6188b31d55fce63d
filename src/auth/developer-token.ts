import { isUUID } from 'class-validator';
import { signToken, verifyToken, type TokenKind } from './signed-token';

const HOUR_S = 60 * 60;
/** Short, since it is not looked for in a browser's storage only: whoever has it administers. */
const ACCESS_TTL_S = HOUR_S;
export const DEVELOPER_REFRESH_TTL_S = 30 * 24 * HOUR_S;

const ACCESS: TokenKind = { type: 'developer+jwt', claims: ['sid'] };
const REFRESH: TokenKind = { type: 'developer-refresh+jwt', claims: ['sid', 'gen'] };

/** The session that a developer's token belongs to. */
export interface DeveloperClaims {
  developerId: string;
  sessionId: string;
}

/** A refresh token is numbered within its session: it is used once, and the next has the next number. */
export interface DeveloperRefreshClaims extends DeveloperClaims {
  generation: number;
}

/** Signs an access token (1 hour) and a refresh token (30 days). */
export function signDeveloperTokens(
  { developerId: sub, sessionId: sid, generation: gen }: DeveloperRefreshClaims,
  secret: string,
): { accessToken: string; refreshToken: string; expiresAt: Date } {
  const access = signToken(ACCESS, { sub, sid }, { secret, ttlS: ACCESS_TTL_S });
  const refresh = signToken(REFRESH, { sub, sid, gen }, { secret, ttlS: DEVELOPER_REFRESH_TTL_S });
  return { accessToken: access.token, refreshToken: refresh.token, expiresAt: access.expiresAt };
}

/** The claims of an access token that we signed and that has not expired; undefined for anything else. */
export function verifyDeveloperToken(token: string, secrets: readonly string[]): DeveloperClaims | undefined {
  const { sub, sid } = verifyToken(ACCESS, token, secrets) ?? {};
  return isUUID(sub) && isUUID(sid) ? { developerId: sub as string, sessionId: sid as string } : undefined;
}

/** The claims of a refresh token that we signed and that has not expired; undefined for anything else. */
export function verifyDeveloperRefreshToken(
  token: string,
  secrets: readonly string[],
): DeveloperRefreshClaims | undefined {
  const { sub, sid, gen } = verifyToken(REFRESH, token, secrets) ?? {};
  if (!isUUID(sub) || !isUUID(sid) || !Number.isSafeInteger(gen)) return undefined;
  return { developerId: sub as string, sessionId: sid as string, generation: gen as number };
}
