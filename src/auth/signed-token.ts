import { createSigner, createVerifier } from 'fast-jwt';

const ALGORITHM = 'HS256';

/** What tells a kind of token from every other JWT that the same secret may sign. */
export interface TokenKind {
  type: string;
  /** Claims of its own that every token of this kind has, beside `sub`, `iat` and `exp`. */
  claims: string[];
}

type Payload = Record<string, unknown>;

/** Signs a JWT with `sub`, `iat` and `exp`, and the claims of its kind. */
export function signToken(
  { type }: TokenKind,
  claims: { sub: string; [claim: string]: unknown },
  { secret, ttlS }: { secret: string; ttlS: number },
): { token: string; expiresAt: Date } {
  const iat = Math.floor(Date.now() / 1000);
  const exp = iat + ttlS;
  const sign = createSigner({ key: secret, algorithm: ALGORITHM, header: { alg: ALGORITHM, typ: type } });
  return { token: sign({ ...claims, iat, exp }), expiresAt: new Date(exp * 1000) };
}

/**
 * The payload of a token that one of these secrets has signed as this kind and that has not expired; undefined for
 * anything else. The first secret is tried first: nearly every token is its own.
 */
export function verifyToken(kind: TokenKind, token: string, secrets: readonly string[]): Payload | undefined {
  for (const secret of secrets) {
    const payload = verifyWith(secret, kind, token);
    if (payload !== undefined) return payload;
  }
  return undefined;
}

function verifyWith(secret: string, kind: TokenKind, token: string): Payload | undefined {
  try {
    const payload = verifierOf(kind, secret)(token) as Payload;
    // as RFC 7519 has it; only the claims that a time limit hangs on are looked at by the library
    return Number.isFinite(payload.iat) ? payload : undefined;
  } catch {
    // every way in which a token can be wrong means the same to its bearer
    return undefined;
  }
}

type Verifier = (token: string) => unknown;

/** There are three kinds, and a secret or two. */
const verifiers = new Map<string, Verifier>();

function verifierOf({ type, claims }: TokenKind, secret: string): Verifier {
  const name = `${type} ${secret}`;
  const known = verifiers.get(name);
  if (known) return known;
  const verifier = createVerifier({
    key: secret,
    algorithms: [ALGORITHM],
    checkTyp: type,
    requiredClaims: ['sub', 'iat', 'exp', ...claims],
  });
  verifiers.set(name, verifier);
  return verifier;
}
