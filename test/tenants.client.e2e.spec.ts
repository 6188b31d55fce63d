import { operations } from './support/operations';
import { newLogin, stageProject, type Stage } from './support/stage';
import { tally, useWorld } from './support/world';
import { WriteMeter } from './support/write-meter';

/** Every client operation, replayed with the key of one project and what was issued in another: never its effect. */
const world = useWorld();

let ours: Stage;
let theirs: Stage;
let meter: WriteMeter;

beforeAll(async () => {
  [ours, theirs] = [await stageProject(world), await stageProject(world)];
  meter = await WriteMeter.on(world.db);
});

const CLIENT = operations().filter(({ path }) => path.startsWith('/v1/client/'));
/** Those that ask for a session as well as the key. */
const OF_A_USER = [
  ...['post /v1/client/auth/link', 'get /v1/client/users/me', 'patch /v1/client/users/me'],
  ...['get /v1/client/currencies', 'get /v1/client/currencies/transactions'],
  ...['get /v1/client/referrals/my-code', 'post /v1/client/referrals/claim'],
];
const OF_AN_APP = [
  ...['get /v1/client/config', 'post /v1/client/auth/anonymous', 'post /v1/client/auth/social'],
  ...['post /v1/client/auth/email/signup', 'post /v1/client/auth/email/login'],
  ...['post /v1/client/auth/refresh', 'post /v1/client/auth/logout'],
];

it('covers every operation of the client plane', () => {
  expect(CLIENT.map(({ name }) => name).sort()).toEqual([...OF_A_USER, ...OF_AN_APP].sort());
});

it.each(OF_A_USER)('%s refuses the session of another project', async (name) => {
  const { method, path } = CLIENT.find((operation) => operation.name === name)!;
  const send = (key: Stage, session: Stage) =>
    world.http[method](path)
      .set({ ...session.player.headers, 'x-api-key': key.tenant.clientKey })
      .send(method === 'get' ? undefined : { code: 'PROMO' });
  const mark = await meter.mark();
  expect(tally([await send(ours, theirs), await send(theirs, ours)])).toEqual({ '401 INVALID_TOKEN': 2 });
  expect(await meter.since(mark)).toEqual([]);
});

it('a refresh token of another project is neither exchanged nor ended', async () => {
  const body = { refresh_token: theirs.refreshToken };
  const mark = await meter.mark();
  expect(tally([await world.auth(ours.tenant, 'refresh', body)])).toEqual({ '401 INVALID_TOKEN': 1 });
  expect(tally([await world.auth(ours.tenant, 'logout', body)])).toEqual({ '200': 1 });
  expect(await meter.since(mark)).toEqual([]);
  await world.auth(theirs.tenant, 'refresh', body).expect(200);
});

it('an account of another project does not log in, and its address is free here', async () => {
  const login = newLogin();
  const { body } = await world.auth(theirs.tenant, 'email/signup', login).expect(201);
  expect(tally([await world.auth(ours.tenant, 'email/login', login)])).toEqual({
    '401 INVALID_CREDENTIALS': 1,
  });
  const twin = await world.auth(ours.tenant, 'email/signup', login).expect(201);
  expect(twin.body.data.user.id).not.toBe(body.data.user.id);
});

it('an anonymous session of another project is not taken along into a sign-up', async () => {
  const anonymous = (await world.auth(theirs.tenant, 'anonymous').expect(201)).body.data;
  const { body } = await world
    .auth(ours.tenant, 'email/signup', newLogin(), anonymous.session_token)
    .expect(201);
  expect(body.data.user.id).not.toBe(anonymous.user.id);
  const me = await world.http
    .get('/v1/client/users/me')
    .set({ 'x-api-key': theirs.tenant.clientKey, authorization: `Bearer ${anonymous.session_token}` })
    .expect(200);
  expect(me.body.data.email).toBeNull();
});

it('a code and an idempotency key of another project mean nothing here', async () => {
  await theirs.tenant.code({ code: 'THEIRS' });
  const key = { 'idempotency-key': 'same' };
  await world.claim(theirs.player, 'THEIRS', key).expect(201);
  const mark = await meter.mark();
  expect(tally([await world.claim(ours.player, 'THEIRS', key)])).toEqual({ '404 INVALID_CODE': 1 });
  expect(await meter.since(mark)).toEqual([]);
});

it('the list of projects of a developer holds no other’s', async () => {
  const { body } = await world.http.get('/v1/admin/projects').set(ours.owner.headers).expect(200);
  expect(body.data.map(({ id }: { id: string }) => id)).toEqual([ours.tenant.id]);
});
