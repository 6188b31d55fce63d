import { createPublicKey, KeyObject, randomUUID } from 'node:crypto';
import type { JWK } from 'jose';
import type { Response } from 'supertest';
import { asymmetric, decode, FORGERIES, hmac, wrongClaims, type Genuine } from './support/forgeries';
import { IdentityProvider } from './support/identity-provider';
import { stageProject, type Stage } from './support/stage';
import { tally, useWorld } from './support/world';
import { WriteMeter } from './support/write-meter';

/** Every place that reads a signed token, against every way to forge one: the same refusal, and nothing written. */
const google = new IdentityProvider();
afterAll(() => google.close());

const world = useWorld(async () => ({
  jwksUrls: await google.listen().then((url) => ({ google: url, apple: url })),
}));

let stage: Stage;
let meter: WriteMeter;

beforeAll(async () => {
  stage = await stageProject(world);
  meter = await WriteMeter.on(world.db);
});

interface Place {
  wrong: Genuine['wrong'];
  /** What a right token is answered with. */
  accepted: string;
  /** Lengths above it are refused as input. */
  maxLength: number;
  genuine: () => Promise<Omit<Genuine, 'wrong'>>;
  send: (token: string) => PromiseLike<Response>;
}

const ids = [null, 5, true, [], {}, '', 'x', '\u0000', randomUUID()];
const signedHere = (token: string, other: string) => {
  const secret = world.config.sessionSecrets[0];
  return {
    token,
    other,
    secret,
    ...decode(token),
    sign: (h: object | string, p: object | string) => hmac(h as string, p as string, secret),
  };
};
const tokenOf = (headers: { authorization: string }) => headers.authorization.slice('Bearer '.length);
const developerTokens = async () => {
  const { email, password } = await world.developer();
  return (await world.http.post('/v1/auth/developer/login').send({ email, password }).expect(200)).body.data;
};

const PLACES: Record<string, Place> = {
  'the session of a user': {
    accepted: '201',
    maxLength: Infinity,
    wrong: { sub: ids, pid: ids, sid: ids, iat: [], exp: [], anon: [] },
    genuine: async () =>
      signedHere(tokenOf(stage.player.headers), tokenOf((await stage.tenant.player()).headers)),
    send: (token) =>
      world.http
        .get('/v1/client/referrals/my-code')
        .set({ ...stage.player.headers, authorization: `Bearer ${token}` }),
  },
  'the access token of a developer': {
    accepted: '201',
    maxLength: Infinity,
    wrong: { sub: ids, sid: ids, iat: [], exp: [] },
    genuine: async () =>
      signedHere((await developerTokens()).access_token, (await developerTokens()).access_token),
    send: (token) =>
      world.http.post('/v1/admin/projects').set('authorization', `Bearer ${token}`).send({ name: 'Mine' }),
  },
  'the refresh token of a developer': {
    accepted: '200',
    maxLength: 2_000,
    wrong: { sub: ids, sid: ids, iat: [], exp: [], gen: [null, '0', 0.5, [], {}, true] },
    genuine: async () =>
      signedHere((await developerTokens()).refresh_token, (await developerTokens()).refresh_token),
    send: (refresh_token) => world.http.post('/v1/auth/developer/refresh').send({ refresh_token }),
  },
  'the identity token of a provider': {
    accepted: '201',
    maxLength: 8_192,
    wrong: {
      sub: [null, 5, true, [], {}, '', '\u0000', 'x'.repeat(256)],
      iss: [
        null,
        '',
        [],
        ['https://accounts.google.com'],
        'https://appleid.apple.com',
        'accounts.google.com.evil.example',
        'HTTPS://ACCOUNTS.GOOGLE.COM',
        'https://accounts.google.com/',
      ],
      aud: [null, '', [], {}, 'their-app', ['their-app'], 'our-app ', 'OUR-APP', ['']],
      iat: [],
      exp: [],
    },
    genuine: async () => {
      const token = await google.token(randomUUID());
      const key = KeyObject.from(await google.privateKey());
      const published = createPublicKey({
        key: (await google.jwk()) as JWK & { kty: string },
        format: 'jwk',
      });
      const secret = published.export({ type: 'spki', format: 'pem' }).toString();
      const sign = (h: object | string, p: object | string) => asymmetric(h as string, p as string, key);
      return { token, other: await google.token(randomUUID()), secret, sign, ...decode(token) };
    },
    send: (id_token) => world.auth(stage.tenant, 'social', { provider: 'google', id_token }),
  },
};

describe.each(Object.entries(PLACES))('%s', (_, place) => {
  const forgeries = [...FORGERIES, ...wrongClaims(place)];
  let genuine: Genuine;

  beforeAll(async () => {
    genuine = { ...(await place.genuine()), wrong: place.wrong };
  });

  it('can be forged in more than 100 ways', () => {
    expect(forgeries.length).toBeGreaterThan(100);
    expect(new Set(forgeries.map(([name]) => name)).size).toBe(forgeries.length);
  });

  it.each(forgeries)('is refused with %s', async (name, forge) => {
    const token = forge(genuine);
    expect(token).not.toBe(genuine.token);
    const mark = await meter.mark();
    const answer = await place.send(token);
    expect(tally([answer])).toEqual({
      [token.length > place.maxLength ? '400 INVALID_INPUT' : '401 INVALID_TOKEN']: 1,
    });
    expect(await meter.since(mark)).toEqual([]);
  });

  it('is accepted when it is signed as we do it: the forgeries fail for their own reason', async () => {
    const { header, payload, sign } = genuine;
    expect(tally([await place.send(sign(header, payload))])).toEqual({ [place.accepted]: 1 });
  });
});
