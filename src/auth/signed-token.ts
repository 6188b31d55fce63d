import { SignJWT, jwtVerify, type JWTPayload } from 'jose';
import { LRUCache } from 'lru-cache';
import { createSecretKey, type KeyObject } from 'node:crypto';

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
    .sign(keyOf(secret));
  return { token, expiresAt: new Date((issuedAtS + ttlS) * 1000) };
}

/** The payload of a token that we signed as this kind and that has not expired; undefined for anything else. */
export async function verifyToken(
  { type, claims }: TokenKind,
  token: string,
  secret: string,
): Promise<JWTPayload | undefined> {
  const known = verified.get(token);
  if (known?.type === type && known.secret === secret)
    return isOver(known.payload) ? undefined : known.payload;
  try {
    const { payload } = await jwtVerify(token, keyOf(secret), {
      algorithms: [ALGORITHM],
      typ: type,
      requiredClaims: ['sub', 'iat', 'exp', ...claims],
    });
    verified.set(token, { type, secret, payload });
    return payload;
  } catch {
    // every way in which a token can be wrong means the same to its bearer
    return undefined;
  }
}

/**
 * Tokens whose signature was good, the latest 5,000 of them: it stays good, so only the time is looked at again.
 * Whether the session is, the database says every time.
 */
const verified = new LRUCache<string, { type: string; secret: string; payload: JWTPayload }>({ max: 5_000 });

function isOver({ exp = 0 }: JWTPayload): boolean {
  return exp <= Math.floor(Date.now() / 1000);
}

/** There is one secret or two, and jose prepares a key once that it sees again. */
const keys = new Map<string, KeyObject>();

function keyOf(secret: string): KeyObject {
  const key = keys.get(secret) ?? createSecretKey(secret, 'utf8');
  keys.set(secret, key);
  return key;
}
