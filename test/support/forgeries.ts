import { createHmac, generateKeyPairSync, sign as signWith, type KeyObject } from 'node:crypto';

type Claims = Record<string, unknown>;

/** A token that is accepted, and what it takes to make it: the forgeries below fail for their own reason only. */
export interface Genuine {
  token: string;
  header: Claims;
  payload: Claims;
  /** Another one that is accepted, of somebody else. */
  other: string;
  /** What a key server or a leaked file would hand to a forger: taken for an HMAC secret. */
  secret: string;
  /** Signs as the real issuer does. A text is taken as it stands. */
  sign: (header: Claims | string, payload: Claims | string) => string;
  /** Wrong values by claim; that a claim is missing is always wrong. */
  wrong: Record<string, unknown[]>;
}

export type Forgery = [name: string, forge: (genuine: Genuine) => string];

const encode = (part: Claims | string) =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');
const join = (header: Claims | string, payload: Claims | string) => `${encode(header)}.${encode(payload)}`;
const parts = (token: string) => token.split('.') as [string, string, string];

/** Signed with HMAC, whatever the header says. */
export function hmac(
  header: Claims | string,
  payload: Claims | string,
  key: string,
  hash = 'sha256',
): string {
  const input = join(header, payload);
  return `${input}.${createHmac(hash, key).update(input).digest('base64url')}`;
}

/** Signed with a private key, whatever the header says. */
export function asymmetric(header: Claims | string, payload: Claims | string, key: KeyObject): string {
  const input = join(header, payload);
  const isEd = key.asymmetricKeyType === 'ed25519';
  const signature = signWith(isEd ? null : 'sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');
const theirJwk = { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'theirs', alg: 'RS256' };

const unsigned = (alg: unknown): Forgery => [
  `alg ${JSON.stringify(alg)} without a signature`,
  ({ header, payload }) => `${join({ ...header, alg }, payload)}.`,
];
const withSignature = (alg: unknown): Forgery => [
  `alg ${JSON.stringify(alg)} with a genuine signature`,
  ({ token, header }) => `${encode({ ...header, alg })}.${parts(token).slice(1).join('.')}`,
];
/** The header asks for another key, and the token is signed with that one. */
const withKey = (name: string, more: Claims): Forgery[] => [
  [
    `${name}, signed with a key of one's own`,
    ({ header, payload }) => asymmetric({ ...header, alg: 'RS256', ...more }, payload, rsa.privateKey),
  ],
  [
    `${name}, signed with nothing`,
    ({ header, payload }) => hmac({ ...header, alg: 'HS256', ...more }, payload, ''),
  ],
];
const resigned = (name: string, more: Claims): Forgery => [
  name,
  ({ sign, header, payload }) => sign({ ...header, ...more }, payload),
];
const reshaped = (
  name: string,
  change: (header: string, payload: string, signature: string) => string,
): Forgery => [name, ({ token }) => change(...parts(token))];

const ALGORITHMS: Forgery[] = [
  ...['none', 'None', 'NONE', 'nOnE', '', null, ['none'], undefined].map(unsigned),
  ...['none', 'NONE', 'HS384', 'hs256', 'RS512', ['HS256'], 'none\u0000', null].map(withSignature),
  ...['HS256', 'HS384', 'HS512'].map((alg): Forgery => [
    `${alg} with what is not its secret`,
    ({ header, payload }) =>
      hmac({ ...header, alg }, payload, 'another secret, which is long enough too', alg.replace('HS', 'sha')),
  ]),
  ...['HS384', 'HS512', 'RS256', 'ES256', 'PS256', 'EdDSA'].map((alg): Forgery => [
    `${alg} in the header, HMAC with the secret`,
    ({ header, payload, secret }) =>
      hmac({ ...header, alg }, payload, secret, /^HS/.test(alg) ? alg.replace('HS', 'sha') : 'sha256'),
  ]),
  ['HS256 with an empty secret', ({ header, payload }) => hmac({ ...header, alg: 'HS256' }, payload, '')],
  [
    "RS256 with a key of one's own",
    ({ header, payload }) => asymmetric({ ...header, alg: 'RS256' }, payload, rsa.privateKey),
  ],
  [
    "ES256 with a key of one's own",
    ({ header, payload }) => asymmetric({ ...header, alg: 'ES256' }, payload, ec.privateKey),
  ],
  [
    "EdDSA with a key of one's own",
    ({ header, payload }) => asymmetric({ ...header, alg: 'EdDSA' }, payload, ed.privateKey),
  ],
  [
    'ES256 with a signature of zeros',
    ({ header, payload }) =>
      `${join({ ...header, alg: 'ES256' }, payload)}.${Buffer.alloc(64).toString('base64url')}`,
  ],
];

const KEYS: Forgery[] = [
  ...withKey('kid ../../dev/null', { kid: '../../../../dev/null' }),
  ...withKey('kid of SQL', { kid: "x' UNION SELECT 'a' --" }),
  ...withKey('kid of a URL', { kid: 'http://127.0.0.1:9/key' }),
  ...withKey('kid of an object', { kid: {} }),
  ...withKey('jku', { jku: 'http://127.0.0.1:9/jwks' }),
  ...withKey('x5u', { x5u: 'http://127.0.0.1:9/cert' }),
  ...withKey('jwk', { jwk: theirJwk }),
  ...withKey('x5c', { x5c: [rsa.publicKey.export({ format: 'der', type: 'spki' }).toString('base64')] }),
  resigned('crit of an unknown extension', { crit: ['exp'], exp: 1 }),
  resigned('crit of nothing', { crit: [] }),
  resigned('crit of a text', { crit: 'b64' }),
  resigned('crit b64, false', { crit: ['b64'], b64: false }),
];

const CLAIMS: Forgery[] = [
  ...['', '-1', 'tomorrow', null, [], {}, true, -1, 0, 1_700_000_000].map((exp): Forgery => [
    `exp ${JSON.stringify(exp)}`,
    ({ sign, header, payload }) => sign(header, { ...payload, exp }),
  ]),
  ['exp of a second ago', ({ sign, header, payload }) => sign(header, { ...payload, exp: now() - 1 })],
  [
    'exp far away, with the old signature',
    ({ token, payload }) => swapped(token, { ...payload, exp: 253_402_300_799 }),
  ],
  [
    'exp of 1e400, with the old signature',
    ({ token, payload }) => swapped(token, JSON.stringify(payload).replace(/"exp":\d+/, '"exp":1e400')),
  ],
  ['nbf of tomorrow', ({ sign, header, payload }) => sign(header, { ...payload, nbf: now() + 86_400 })],
  ['nbf of a text', ({ sign, header, payload }) => sign(header, { ...payload, nbf: '0' })],
  ['iat of a text', ({ sign, header, payload }) => sign(header, { ...payload, iat: '0' })],
];

const SHAPES: Forgery[] = [
  reshaped('an empty signature', (header, payload) => `${header}.${payload}.`),
  reshaped('no signature', (header, payload) => `${header}.${payload}`),
  reshaped(
    'a truncated signature',
    (header, payload, signature) => `${header}.${payload}.${signature.slice(0, -2)}`,
  ),
  reshaped('a signature and more', (header, payload, signature) => `${header}.${payload}.${signature}AAAA`),
  reshaped(
    'a signature with a bit turned',
    (header, payload, signature) => `${header}.${payload}.${turn(signature)}`,
  ),
  reshaped(
    'a payload with a bit turned',
    (header, payload, signature) => `${header}.${turn(payload)}.${signature}`,
  ),
  [
    'the signature of another token',
    ({ token, other }) => `${parts(token).slice(0, 2).join('.')}.${parts(other)[2]}`,
  ],
  [
    'the payload of another token',
    ({ token, other }) => [parts(token)[0], parts(other)[1], parts(token)[2]].join('.'),
  ],
  [
    'a sub that comes twice',
    ({ token, payload }) =>
      swapped(token, JSON.stringify(payload).replace('{', `{"sub":"${String(payload.sub)}",`)),
  ],
  [
    'an alg that comes twice',
    ({ token, header }) =>
      `${encode(JSON.stringify(header).replace('{', '{"alg":"none",'))}.${parts(token).slice(1).join('.')}`,
  ],
  reshaped('padding', (header, payload, signature) => `${header}=.${payload}=.${signature}`),
  reshaped('a fourth part', (header, payload, signature) => `${header}.${payload}.${signature}.${signature}`),
  reshaped(
    'five parts, as if encrypted',
    (header, payload, signature) => `${header}.${payload}.${signature}.a.b`,
  ),
  reshaped('a part that is missing in front', (_, payload, signature) => `${payload}.${signature}`),
  reshaped('empty parts', () => '..'),
  reshaped('one part', () => 'x'),
  reshaped('dots in front', (header, payload, signature) => `.${header}.${payload}.${signature}`),
  reshaped('small letters', (...all) => all.join('.').toLowerCase()),
  reshaped('percent-encoded dots', (...all) => all.join('%2E')),
  reshaped('quotes around it', (...all) => `"${all.join('.')}"`),
  reshaped('8 kB of signature', (header, payload) => `${header}.${payload}.${'A'.repeat(8_000)}`),
  ['a header that is no JSON', ({ sign, payload }) => sign('{', payload)],
  ['a header that is a list', ({ sign, payload }) => sign('[]', payload)],
  ['a header that is null', ({ sign, payload }) => sign('null', payload)],
  ['a payload that is no JSON', ({ sign, header }) => sign(header, 'sub=1')],
  ['a payload that is a list', ({ sign, header, payload }) => sign(header, JSON.stringify([payload]))],
  ['a payload that is null', ({ sign, header }) => sign(header, 'null')],
  ['a payload that is a number', ({ sign, header }) => sign(header, '5')],
  ['an empty payload', ({ sign, header }) => sign(header, '')],
  [
    'a payload nested deeply',
    ({ sign, header }) => sign(header, `${'{"sub":'.repeat(500)}1${'}'.repeat(500)}`),
  ],
];

/** Forgeries of any signed token. */
export const FORGERIES: Forgery[] = [...ALGORITHMS, ...KEYS, ...CLAIMS, ...SHAPES];

/** Every claim of a token, left out or of a value that it cannot have, with the right signature. */
export function wrongClaims({ wrong }: Pick<Genuine, 'wrong'>): Forgery[] {
  return Object.entries(wrong).flatMap(([claim, values]): Forgery[] => [
    [`no ${claim}`, ({ sign, header, payload }) => sign(header, { ...payload, [claim]: undefined })],
    ...values.map((value): Forgery => [
      `${claim} ${JSON.stringify(value)}`,
      ({ sign, header, payload }) => sign(header, { ...payload, [claim]: value }),
    ]),
  ]);
}

const now = () => Math.floor(Date.now() / 1000);
/** Another payload under the old signature. */
const swapped = (token: string, payload: Claims | string) =>
  `${parts(token)[0]}.${encode(payload)}.${parts(token)[2]}`;
/** The same length, one character of its middle another. */
const turn = (part: string) => {
  const middle = part.length >> 1;
  return part.slice(0, middle) + (part[middle] === 'A' ? 'B' : 'A') + part.slice(middle + 1);
};

export function decode(token: string): { header: Claims; payload: Claims } {
  const [header, payload] = parts(token).map((part) => Buffer.from(part, 'base64url').toString());
  return { header: JSON.parse(header ?? '') as Claims, payload: JSON.parse(payload ?? '') as Claims };
}
