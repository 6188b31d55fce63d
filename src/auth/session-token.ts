import { isUUID } from 'class-validator';
import { signToken, verifyToken, type TokenKind } from './signed-token';

const KIND: TokenKind = { type: 'session+jwt', claims: ['pid', 'anon', 'sid'] };

/** What a session token says: user, project, whether the user is anonymous, and the session that can be revoked. */
export interface SessionClaims {
  userId: string;
  projectId: string;
  anonymous: boolean;
  sessionId: string;
}

/** Signs a session token: a JWT with `sub`, `pid`, `anon`, `sid`, `iat` and `exp`. */
export function signSessionToken(
  { userId, projectId, anonymous, sessionId }: SessionClaims,
  secret: string,
  ttlS: number,
): { token: string; expiresAt: Date } {
  return signToken(KIND, { sub: userId, pid: projectId, anon: anonymous, sid: sessionId }, { secret, ttlS });
}

/** The claims of a token that we signed and that has not expired; undefined for anything else. */
export function verifySessionToken(token: string, secrets: readonly string[]): SessionClaims | undefined {
  const payload = verifyToken(KIND, token, secrets);
  if (payload === undefined) return undefined;
  const { sub, pid, anon, sid } = payload;
  if (!isUUID(sub) || !isUUID(pid) || !isUUID(sid)) return undefined;
  return {
    userId: sub as string,
    projectId: pid as string,
    anonymous: anon === true,
    sessionId: sid as string,
  };
}
