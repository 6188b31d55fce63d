import { createHash, createHmac } from 'node:crypto';

/**
 * The users of a measurement, by number: whoever knows the number knows user and session, in JavaScript as in SQL, so
 * that hundreds of thousands of users need not be told to anybody. The first ones own codes; each of the others acts once.
 */

/** The owners of the codes that are claimed; the last one's is the hot one. */
export const SPREAD_CODES = 50;
export const HOT_OWNER = SPREAD_CODES;
/** Who reads: each has a code, balances and a history. */
export const FIRST_READER = HOT_OWNER + 1;
export const READERS = 200;
export const OWNERS = FIRST_READER + READERS;

const TOKEN_TTL_S = 24 * 60 * 60;
const TOKEN_HEADER = base64({ alg: 'HS256', typ: 'session+jwt' });

export const CODE_PREFIX = 'BENCH-';
/** The code of an owner; matched without its hyphen. */
export const codeOf = (owner) => `${CODE_PREFIX}${owner}`;

/** An id that looks random to an index and can be computed anew. `idSql` is the same in SQL. */
export function idOf(kind, n) {
  const hex = createHash('md5').update(`${kind} ${n}`).digest('hex');
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`];
  return [...parts, hex.slice(20)].join('-');
}

export function idSql(kind, n) {
  return `overlay(overlay(md5('${kind} ' || ${n}) placing '4' from 13) placing '8' from 17)::uuid`;
}

/** What a user's requests carry. */
export function headersOf(n, { projectId, key, secret }) {
  const issuedAt = Math.floor(Date.now() / 1000);
  const claims = { pid: projectId, anon: false, sid: idOf('session', n), sub: idOf('user', n) };
  const signed = `${TOKEN_HEADER}.${base64({ ...claims, iat: issuedAt, exp: issuedAt + TOKEN_TTL_S })}`;
  const signature = createHmac('sha256', secret).update(signed).digest('base64url');
  return { 'x-api-key': key, authorization: `Bearer ${signed}.${signature}` };
}

function base64(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
