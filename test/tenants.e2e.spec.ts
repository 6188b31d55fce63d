import { randomUUID } from 'node:crypto';
import type { OpenAPIObject } from '@nestjs/swagger';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { IdentityTokensService } from '../src/users/identity-tokens.service';
import { fingerprint } from './support/fingerprint';
import {
  tally,
  TESTER,
  useWorld,
  type Method,
  type Player,
  type Tenant,
  type TestDeveloper,
} from './support/world';

/**
 * Every admin request, replayed by those whom it is no business of: another developer, another project's server key,
 * and both under their own project with the ids of the first one. Never data, never an effect.
 */
const world = useWorld();

/** A project in which every id names something, so that the owner's own request works. */
interface Stage {
  owner: TestDeveloper;
  tenant: Tenant;
  player: Player;
  ids: Record<string, string>;
}

type Body = (stage: Stage) => object;

/** What the owner sends with each request that takes a body. */
const BODIES: Record<string, Body> = {
  'patch /v1/admin/projects/{projectId}': () => ({ name: 'Mine' }),
  'post /v1/admin/projects/{projectId}/api-keys': () => ({ key_type: 'server', environment: 'production' }),
  'post /v1/admin/projects/{projectId}/referrals': ({ player }) => ({ app_user_id: player.id }),
  'patch /v1/admin/projects/{projectId}/referrals/{codeId}': () => ({ max_uses: 7 }),
  'post /v1/admin/projects/{projectId}/currencies': () => ({ code: 'gold', name: 'Gold' }),
  'patch /v1/admin/projects/{projectId}/currencies/{currencyId}': () => ({ name: 'Mine' }),
  'post /v1/admin/projects/{projectId}/currencies/grant': ({ player }) => ({
    ...{ app_user_id: player.id, currency_code: 'gems', amount: 5 },
  }),
  'put /v1/admin/projects/{projectId}/identity-providers/{provider}': () => ({ audiences: ['our-app'] }),
  'post /v1/admin/projects/{projectId}/users/session': () => ({ external_id: 'ada' }),
  'post /v1/admin/projects/{projectId}/reward-grants/replay': ({ ids }) => ({ ids: [ids.grantId] }),
  'post /v1/admin/projects/{projectId}/reward-grants/{grantId}/cancel': () => ({ reason: 'Mine' }),
};

const document = JSON.parse(readFileSync(join(__dirname, '../client/openapi.json'), 'utf8')) as OpenAPIObject;
const OPERATIONS = Object.entries(document.paths)
  .filter(([path]) => path.startsWith('/v1/admin/projects/{projectId}'))
  .flatMap(([path, item]) =>
    Object.entries(item as Record<string, { requestBody?: { required?: boolean } }>).map(
      ([method, { requestBody }]) => ({
        method: method as Method,
        path,
        needsBody: requestBody?.required ?? false,
      }),
    ),
  );

async function stage(): Promise<Stage> {
  const owner = await world.developer();
  const tenant = await world.tenant({ ownerId: owner.id });
  const { id: currencyId } = await tenant.currency({ code: 'gems' });
  const player = await tenant.player();
  const { id: codeId } = await tenant.code({ code: 'PROMO', rewardReferee: { gems: 1 } });
  await tenant.deleteCurrency('gems');
  await world.claim(await tenant.player(), 'PROMO').expect(201);
  await tenant.currency({ code: 'gems' });
  await world.app.get(IdentityTokensService).configure(TESTER, tenant.id, 'apple', ['our-app']);
  const [{ id: grantId }] = await world.db.query(`SELECT id FROM reward_grants WHERE project_id = $1`, [
    tenant.id,
  ]);
  const [{ id: keyId }] = await world.db.query(
    `SELECT id FROM api_keys WHERE project_id = $1 AND key_type = 'client'`,
    [tenant.id],
  );
  const ids = {
    projectId: tenant.id,
    currencyId,
    codeId,
    grantId,
    keyId,
    userId: player.id,
    provider: 'apple',
  };
  return { owner, tenant, player, ids };
}

const fill = (path: string, ids: Record<string, string>) =>
  path.replace(/\{(\w+)\}/g, (_, name: string) => ids[name] ?? randomUUID());

/** Only what is dead or cancelled is replayed. */
async function cancelGrant({ owner, ids }: Stage): Promise<void> {
  await world.http
    .post(fill('/v1/admin/projects/{projectId}/reward-grants/{grantId}/cancel', ids))
    .set(owner.headers)
    .send({ reason: 'to be replayed' })
    .expect(200);
}

it('covers every operation that takes a body', () => {
  const needing = OPERATIONS.filter(({ needsBody }) => needsBody).map(
    ({ method, path }) => `${method} ${path}`,
  );
  expect(needing.sort()).toEqual(Object.keys(BODIES).sort());
});

it.each(OPERATIONS.map(({ method, path }) => [method, path] as const))(
  '%s %s is its owner’s only',
  async (method, path) => {
    const [ours, theirs] = [await stage(), await stage()];
    if (path.endsWith('/replay')) await cancelGrant(ours);
    const body = BODIES[`${method} ${path}`]?.(ours);
    const send = (headers: Record<string, string>, ids: Record<string, string>) =>
      world.http[method](fill(path, ids)).set(headers).send(body);
    const strangers = [theirs.owner.headers, theirs.tenant.server];
    const before = await fingerprint(world.db);

    const foreign = [];
    for (const headers of strangers) foreign.push(await send(headers, ours.ids));
    expect(tally(foreign)).toEqual({ '403 PROJECT_FORBIDDEN': 2 });
    expect(await fingerprint(world.db)).toBe(before);

    // under the stranger's own project, what is ours is not there
    const mixed = { ...ours.ids, projectId: theirs.tenant.id };
    const named = [...path.matchAll(/\{\w+Id\}/g)].length > 1;
    if (named) {
      const answers = [];
      for (const headers of strangers) answers.push(await send(headers, mixed));
      expect(tally(answers)).toEqual({ '404 NOT_FOUND': 2 });
      expect(await fingerprint(world.db)).toBe(before);
    }

    const answer = await send(ours.owner.headers, ours.ids);
    expect([200, 201]).toContain(answer.status);
  },
);

it('an id of another project in a body names nothing', async () => {
  const [ours, theirs] = [await stage(), await stage()];
  const post = (path: string, body: object) =>
    world.http.post(`/v1/admin/projects/${theirs.tenant.id}/${path}`).set(theirs.owner.headers).send(body);
  const before = await fingerprint(world.db);
  const grant = { app_user_id: ours.player.id, currency_code: 'gems', amount: 5 };
  expect(
    tally([await post('currencies/grant', grant), await post('referrals', { app_user_id: ours.player.id })]),
  ).toEqual({ '404 NOT_FOUND': 1, '400 INVALID_INPUT': 1 });
  const { body } = await post('reward-grants/replay', { ids: [ours.ids.grantId] }).expect(200);
  expect(body.data).toMatchObject({ replayed: 0, refused: [{ id: ours.ids.grantId }] });
  expect(await fingerprint(world.db)).toBe(before);
});

it('lists and logs of one project say nothing of another', async () => {
  const [ours, theirs] = [await stage(), await stage()];
  const lists = OPERATIONS.filter(
    ({ method, path }) => method === 'get' && !/\{projectId\}\/.*\{/.test(path),
  );
  expect(lists.length).toBeGreaterThanOrEqual(9);
  for (const { path } of lists) {
    const answer = await world.http.get(fill(path, theirs.ids)).set(theirs.owner.headers).expect(200);
    const ids = Object.entries(ours.ids).filter(([name]) => name !== 'provider');
    for (const id of [...ids.map(([, id]) => id), ours.owner.email])
      expect({ path, text: answer.text }).not.toMatchObject({ text: expect.stringContaining(id) });
  }
});

it('a server key administers its own project and no account', async () => {
  const { tenant } = await stage();
  const answers = [
    await world.http.get('/v1/admin/projects').set(tenant.server),
    await world.http.post('/v1/admin/projects').set(tenant.server).send({ name: 'Another' }),
    await world.http.get('/v1/auth/developer/me').set(tenant.server),
    await world.http.post('/v1/auth/developer/pat/rotate').set(tenant.server),
    await world.http.get('/v1/auth/developer/audit-log').set(tenant.server),
  ];
  expect(tally(answers)).toEqual({ '403 FORBIDDEN': 5 });
});
