import { randomUUID } from 'node:crypto';
import { tally, useWorld, type Tenant } from './support/world';

const world = useWorld();

let tenant: Tenant;

beforeEach(async () => {
  tenant = await world.tenant();
});

const anonymous = async () => (await world.auth(tenant, 'anonymous').expect(201)).body.data;
const me = (token: string) =>
  world.http
    .get('/v1/client/users/me')
    .set({ 'x-api-key': tenant.clientKey, authorization: `Bearer ${token}` });

describe('the profile', () => {
  it('changes where it is told to, and nowhere else', async () => {
    const { session_token: token, user } = await anonymous();
    const patch = (body: object) =>
      world.http
        .patch('/v1/client/users/me')
        .set({ 'x-api-key': tenant.clientKey, authorization: `Bearer ${token}` })
        .send(body);
    const full = {
      display_name: 'Ada',
      avatar_url: 'https://example.com/a.png',
      properties: { level: 7, tags: ['a'] },
      timezone: 'Europe/Paris',
    };
    expect((await patch(full).expect(200)).body.data).toMatchObject({ id: user.id, ...full });
    expect((await patch({ timezone: null, avatar_url: null }).expect(200)).body.data).toMatchObject({
      ...full,
      timezone: null,
      avatar_url: null,
    });
    expect((await patch({}).expect(200)).body.data).toMatchObject({
      display_name: 'Ada',
      properties: full.properties,
    });
    for (const [field, wrong] of Object.entries({
      display_name: ['', null, 'x'.repeat(101), '❤️'.repeat(60), '   ', '\u200b', 'a\u0007', 5, 'a\u0000'],
      avatar_url: [
        'javascript:alert(1)',
        'x',
        5,
        `https://e.co/${'x'.repeat(2048)}`,
        `https://e.co/${'❤️'.repeat(1030)}`,
      ],
      properties: [null, [], 'x', { a: '\u0000' }],
      timezone: ['Mars/Olympus', '', 5],
      email: ['x@example.com'],
      id: [randomUUID()],
    })) {
      for (const value of wrong) {
        expect({ field, value, ...tally([await patch({ [field]: value })]) }).toEqual({
          field,
          value,
          '400 INVALID_INPUT': 1,
        });
      }
    }
    expect((await me(token)).body.data).toMatchObject({
      display_name: 'Ada',
      properties: full.properties,
      timezone: null,
    });
  });
});

describe('bodies', () => {
  const patch = async (body: string | Buffer) => {
    const { session_token: token } = await anonymous();
    return world.http
      .patch('/client/users/me')
      .set({
        'x-api-key': tenant.clientKey,
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
      })
      .send(body);
  };

  it.each(['1e999', '-1e999', '9007199254740992', '123456789012345678901234567890', '1e300'])(
    'with %s are refused: it would be stored as another number',
    async (number) => {
      expect(tally([await patch(`{"properties":{"a":${number}}}`)])).toEqual({ '400 INVALID_INPUT': 1 });
    },
  );

  it('keep the numbers that JSON can carry', async () => {
    const { body } = await patch('{"properties":{"a":9007199254740991,"b":-0.5,"c":1e-300}}');
    expect(body.data.properties).toEqual({ a: 9007199254740991, b: -0.5, c: 1e-300 });
  });

  it('that are not UTF-8 are refused', async () => {
    const { session_token: token } = await anonymous();
    const [before, after] = ['{"display_name":"', '"}'];
    const body = Buffer.concat([Buffer.from(before), Buffer.from([0xff, 0xfe]), Buffer.from(after)]);
    const response = await fetch(`${world.url}/client/users/me`, {
      method: 'PATCH',
      headers: {
        'x-api-key': tenant.clientKey,
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
      },
      body,
    });
    expect(response.status).toBe(400);
    expect(((await response.json()) as any).error.details).toEqual([
      { field: 'body', message: 'must be UTF-8' },
    ]);
  });
});

describe('the configuration', () => {
  it('has an ETag, and is not sent again to those who know it', async () => {
    const read = (headers: object = {}) =>
      world.http.get('/v1/client/config').set({ 'x-api-key': tenant.clientKey, ...headers });
    const first = await read().expect(200);
    expect(first.body).toEqual({ data: {} });
    const { etag } = first.headers;
    expect(etag).toMatch(/^"[\w-]+"$/);
    const known = await read({ 'if-none-match': `"x", W/${etag}` }).expect(304);
    expect(known.text).toBe('');
    expect(known.headers.etag).toBe(etag);
    await read({ 'if-none-match': '"x"', authorization: 'Bearer stale' }).expect(200);
  });

  it('is the only route that a 304 is an answer of', async () => {
    const { session_token: token } = await anonymous();
    const headers = { 'x-api-key': tenant.clientKey, authorization: `Bearer ${token}`, 'if-none-match': '*' };
    await world.http.get('/v1/client/config').set(headers).expect(304);
    await world.http.get('/v1/client/users/me').set(headers).expect(200);
  });
});
