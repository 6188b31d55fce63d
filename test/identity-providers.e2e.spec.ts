import { tally, useWorld, type Tenant } from './support/world';

const world = useWorld();

let tenant: Tenant;

beforeEach(async () => {
  tenant = await world.tenant();
});

const providers = (path = '') => `/v1/admin/projects/${tenant.id}/identity-providers${path}`;
const list = async () => (await world.http.get(providers()).set(tenant.server).expect(200)).body.data;
const set = (provider: string, body: object) =>
  world.http
    .put(providers(`/${provider}`))
    .set(tenant.server)
    .send(body);
const remove = (provider: string) => world.http.delete(providers(`/${provider}`)).set(tenant.server);
const signIn = async (provider: string) =>
  Object.keys(tally([await world.auth(tenant, 'social', { provider, id_token: 'no token' })]))[0];

it('a provider is offered from the moment that it has audiences until it is removed', async () => {
  expect([await list(), await signIn('google')]).toEqual([[], '400 UNSUPPORTED_PROVIDER']);
  const google = { provider: 'google', audiences: ['our-app'] };
  await set('google', { audiences: ['our-app'] }).expect(200, { data: google });
  expect([await list(), await signIn('google')]).toEqual([[google], '401 INVALID_TOKEN']);
  const both = ['our-app', 'our-web-app'];
  await set('google', { audiences: both }).expect(200);
  await set('apple', { audiences: ['com.example.game'] }).expect(200);
  expect(await list()).toEqual([
    { provider: 'apple', audiences: ['com.example.game'] },
    { provider: 'google', audiences: both },
  ]);
  await remove('google').expect(200, { data: { provider: 'google', audiences: [] } });
  expect(tally([await remove('google')])).toEqual({ '404 NOT_FOUND': 1 });
  expect([(await list()).length, await signIn('google')]).toEqual([1, '400 UNSUPPORTED_PROVIDER']);
  const log = await world.http
    .get(`/v1/admin/projects/${tenant.id}/audit-log?target_id=google`)
    .set(tenant.server)
    .expect(200);
  expect(log.body.data.map((line: any) => [line.action, line.before, line.after])).toEqual([
    ['identity_provider.delete', { audiences: both }, null],
    ['identity_provider.set', { audiences: ['our-app'] }, { audiences: both }],
    ['identity_provider.set', null, { audiences: ['our-app'] }],
  ]);
});

it.each<[string, object, string]>([
  ['google', {}, '400 INVALID_INPUT'],
  ['google', { audiences: [] }, '400 INVALID_INPUT'],
  ['google', { audiences: 'our-app' }, '400 INVALID_INPUT'],
  ['google', { audiences: [''] }, '400 INVALID_INPUT'],
  ['google', { audiences: [5] }, '400 INVALID_INPUT'],
  ['google', { audiences: ['a', 'a'] }, '400 INVALID_INPUT'],
  ['google', { audiences: Array.from({ length: 21 }, (_, i) => `app-${i}`) }, '400 INVALID_INPUT'],
  ['google', { audiences: ['x'.repeat(256)] }, '400 INVALID_INPUT'],
  ['facebook', { audiences: ['our-app'] }, '404 NOT_FOUND'],
])('%s with %j is refused', async (provider, body, outcome) => {
  expect(tally([await set(provider, body)])).toEqual({ [outcome]: 1 });
  expect(await list()).toEqual([]);
});
