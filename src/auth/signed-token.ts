import { SignJWT, jwtVerify, type JWTPayload } from 'jose';

const ALGORITHM = 'HS256';

/** What tells a kind of token from every other JWT that the same secret may sign. */
export interface TokenKind {
  type: string;
  /** Claims of its own that every token of this kind has, beside `sub`, `iat` and `exp`. */
  claims: string[];
}

/** Signs a JWT with `sub`, `iat` and `exp`, and the claims of its kind. */
export async function signToken(
  { type }: TokenKind,
  { sub, ...claims }: { sub: string; [claim: string]: unknown },
  { secret, ttlS }: { secret: string; ttlS: number },
): Promise<{ token: string; expiresAt: Date }> {
  const issuedAtS = Math.floor(Date.now() / 1000);
  const token = await new SignJWT(claims)
    .setProtectedHeader({ alg: ALGORITHM, typ: type })
    .setSubject(sub)
    .setIssuedAt(issuedAtS)
    .setExpirationTime(issuedAtS + ttlS)
    .sign(new TextEncoder().encode(secret));
  return { token, expiresAt: new Date((issuedAtS + ttlS) * 1000) };
}

/** The payload of a token that we signed as this kind and that has not expired; undefined for anything else. */
export async function verifyToken(
  { type, claims }: TokenKind,
  token: string,
  secret: string,
): Promise<JWTPayload | undefined> {
  try {
    const { payload } = await jwtVerify(token, new TextEncoder().encode(secret), {
      algorithms: [ALGORITHM],
      typ: type,
      requiredClaims: ['sub', 'iat', 'exp', ...claims],
    });
    return payload;
  } catch {
    // every way in which a token can be wrong means the same to its bearer
    return undefined;
  }
}
