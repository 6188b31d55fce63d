import { isUUID } from 'class-validator';
import { SignJWT, jwtVerify } from 'jose';

/** Tells session tokens from every other JWT that the same secret may sign. */
const TYPE = 'session+jwt';
const ALGORITHM = 'HS256';

/** What a session token says: user, project, whether the user is anonymous, and the session that can be revoked. */
export interface SessionClaims {
  userId: string;
  projectId: string;
  anonymous: boolean;
  sessionId: string;
}

/** Signs a session token: a JWT with `sub`, `pid`, `anon`, `sid`, `iat` and `exp`. */
export async function signSessionToken(
  claims: SessionClaims,
  secret: string,
  ttlS: number,
): Promise<{ token: string; expiresAt: Date }> {
  const issuedAtS = Math.floor(Date.now() / 1000);
  const token = await new SignJWT({ pid: claims.projectId, anon: claims.anonymous, sid: claims.sessionId })
    .setProtectedHeader({ alg: ALGORITHM, typ: TYPE })
    .setSubject(claims.userId)
    .setIssuedAt(issuedAtS)
    .setExpirationTime(issuedAtS + ttlS)
    .sign(new TextEncoder().encode(secret));
  return { token, expiresAt: new Date((issuedAtS + ttlS) * 1000) };
}

/** The claims of a token that we signed and that has not expired; undefined for anything else. */
export async function verifySessionToken(token: string, secret: string): Promise<SessionClaims | undefined> {
  try {
    const { payload } = await jwtVerify<{ pid: string; anon: boolean; sid: string }>(
      token,
      new TextEncoder().encode(secret),
      { algorithms: [ALGORITHM], typ: TYPE, requiredClaims: ['sub', 'pid', 'anon', 'sid', 'iat', 'exp'] },
    );
    const claims = {
      userId: payload.sub ?? '',
      projectId: payload.pid,
      anonymous: payload.anon,
      sessionId: payload.sid,
    };
    return [claims.userId, claims.projectId, claims.sessionId].every((id) => isUUID(id)) ? claims : undefined;
  } catch {
    // every way in which a token can be wrong means the same to its bearer
    return undefined;
  }
}
