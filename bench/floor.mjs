import { createHash, createHmac, randomInt, randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import pg from 'pg';
import { BALANCES, CLAIM, MAKE_CODE, MY_CODE, TRANSACTIONS } from './floor-statements.mjs';

/**
 * The floor: the client routes of the product on `node:http` and `pg` alone, with one prepared statement for each
 * request (`floor-statements.mjs`) and the same answers. What the product takes beyond this is what it costs.
 *
 * It knows the environment variables of the product that it needs. Not served are: idempotency keys, limits on guessing,
 * initial balances, rewards of the shape `{ currency, amount }`, and everything that is not asked for.
 */
const { DATABASE_URL, SESSION_SECRET, HOST, PORT } = process.env;
const POOL_SIZE = Number(process.env.DATABASE_POOL_SIZE ?? 10);
const INT8_OID = 20;

const ALPHABET = 'ABCDEFGHJKMNPQRSTUVWXYZ23456789';
const CODE_LENGTH = 8;
const TYPEABLE = /^[A-Za-z0-9_ -]{1,64}$/;
const UNIQUE_VIOLATION = '23505';

/** As the product sends them with every answer. */
const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Origin-Agent-Cluster': '?1',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-DNS-Prefetch-Control': 'off',
  'X-Download-Options': 'noopen',
  'X-Frame-Options': 'DENY',
  'X-Permitted-Cross-Domain-Policies': 'none',
  'X-XSS-Protection': '0',
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'etag,x-request-id,idempotent-replayed,retry-after',
  'Content-Type': 'application/json; charset=utf-8',
};

const REFUSALS = {
  INVALID_TOKEN: [
    401,
    'The session token is expired, revoked or not of this project. Sign the user in again.',
  ],
  INVALID_CODE: [404, 'There is no active referral code with this spelling.'],
  SELF_REFERRAL: [400, 'You cannot claim your own referral code.'],
  ALREADY_CLAIMED: [400, 'You have already claimed this code. The existing claim is in details.claim.'],
  MAX_USES_REACHED: [400, 'This referral code has been used as often as it may be.'],
  CLAIM_LIMIT_REACHED: [400, 'You have claimed as many referral codes as this app allows.'],
  NOT_FOUND: [404, 'There is nothing at this address.'],
  INTERNAL_ERROR: [500, 'Something went wrong on our side. Try again.'],
};

const pool = new pg.Pool({
  connectionString: DATABASE_URL,
  max: POOL_SIZE,
  // the plan depends on none of the parameters
  options: '-c plan_cache_mode=force_generic_plan',
  types: {
    getTypeParser: (oid, format) => (oid === INT8_OID ? Number : pg.types.getTypeParser(oid, format)),
  },
});

const ROUTES = {
  'GET /v1/client/referrals/my-code': myCode,
  'GET /v1/client/currencies': balances,
  'GET /v1/client/currencies/transactions': transactions,
  'POST /v1/client/referrals/claim': claim,
};

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => void serve(request, response, Buffer.concat(chunks)));
});
server.listen(Number(PORT), HOST, () => {
  process.stdout.write(`API http://${HOST}:${server.address().port}\n`);
});
process.on('SIGINT', () => process.exit(0));

async function serve(request, response, body) {
  const requestId = randomUUID();
  const [path, query] = request.url.split('?', 2);
  let answer;
  try {
    const route = ROUTES[`${request.method} ${path}`];
    answer = route ? await route(callerOf(request.headers), { query, body }) : refuse('NOT_FOUND');
  } catch (error) {
    process.stderr.write(`${error.stack}\n`);
    answer = refuse('INTERNAL_ERROR');
  }
  const { status, content } = answer;
  if (content.error) content.error.request_id = requestId;
  const text = JSON.stringify(content);
  response.writeHead(status, {
    'X-Request-Id': requestId,
    ...HEADERS,
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

/** The parameters of a statement that say who asks; undefined when nobody can be meant. */
function callerOf(headers) {
  const { 'x-api-key': key, authorization } = headers;
  const claims = verified(authorization?.slice('Bearer '.length));
  if (key === undefined || claims === undefined) return undefined;
  return [createHash('sha256').update(key).digest(), claims.pid, claims.sid, claims.sub];
}

/** The claims of a session token with a good signature that has not expired. */
function verified(token) {
  const [header, payload, signature] = token?.split('.') ?? [];
  if (signature === undefined) return undefined;
  const expected = createHmac('sha256', SESSION_SECRET).update(`${header}.${payload}`).digest();
  const given = Buffer.from(signature, 'base64url');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const { alg, typ } = parse(header);
  const claims = parse(payload);
  const isGood = alg === 'HS256' && typ === 'session+jwt' && claims.exp > Date.now() / 1000;
  return isGood ? claims : undefined;
}

function parse(part) {
  return JSON.parse(Buffer.from(part, 'base64url').toString());
}

async function myCode(caller) {
  const [found] = await run('my-code', MY_CODE, caller);
  if (found === undefined) return refuse('INVALID_TOKEN');
  if (found.id !== null) return { status: 200, content: { data: found } };
  try {
    const [made] = await run('make-code', MAKE_CODE, caller, [newCode()]);
    return { status: 201, content: { data: made } };
  } catch (error) {
    // a first read at the same time, or a code that is taken
    if (error.code === UNIQUE_VIOLATION) return myCode(caller);
    throw error;
  }
}

async function balances(caller) {
  const rows = await run('balances', BALANCES, caller);
  return rows.length === 0 ? refuse('INVALID_TOKEN') : { status: 200, content: { data: rows } };
}

async function transactions(caller, { query }) {
  const asked = new URL(`?${query ?? ''}`, 'http://floor').searchParams;
  const [limit, offset] = [Number(asked.get('limit') ?? 50), Number(asked.get('offset') ?? 0)];
  const rows = await run('transactions', TRANSACTIONS, caller, [limit, offset]);
  if (rows.length === 0) return refuse('INVALID_TOKEN');
  const data = rows.filter(({ id }) => id !== null).map(toLine);
  return { status: 200, content: { data, total: rows[0].total, limit, offset } };
}

function toLine(row) {
  return {
    ...{ id: row.id, app_user_id: row.app_user_id, currency_code: row.currency_code, amount: row.amount },
    ...{ requested_amount: row.requested_amount, balance_after: row.balance_after },
    ...{ transaction_type: row.transaction_type, source: row.source, reference_id: row.reference_id },
    created_at: row.created_at,
  };
}

async function claim(caller, { body }) {
  const { code } = JSON.parse(body);
  if (!TYPEABLE.test(code)) return refuse('INVALID_CODE');
  try {
    const [row] = await run('claim', CLAIM, caller, [code.replace(/[ -]/g, '').toUpperCase()]);
    if (row === undefined) return refuse('INVALID_TOKEN');
    const { refusal, ...made } = row;
    return refusal === null ? { status: 201, content: { data: made } } : refuse(refusal);
  } catch (error) {
    const isTwin = error.code === UNIQUE_VIOLATION && error.constraint === 'referral_claims_once_per_user';
    if (isTwin) return refuse('ALREADY_CLAIMED');
    throw error;
  }
}

async function run(name, text, caller, parameters = []) {
  if (caller === undefined) return [];
  const { rows } = await pool.query({ name, text, values: [...caller, ...parameters] });
  return rows;
}

function refuse(code) {
  const [status, message] = REFUSALS[code];
  return { status, content: { error: { code, message } } };
}

function newCode() {
  return Array.from({ length: CODE_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}
