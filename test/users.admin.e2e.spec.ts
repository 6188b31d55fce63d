import { randomUUID } from 'node:crypto';
import { tally, useWorld, type Player, type Tenant } from './support/world';

const world = useWorld();

let tenant: Tenant;

beforeEach(async () => {
  tenant = await world.tenant();
});

const users = (path = '') => `/v1/admin/projects/${tenant.id}/users${path}`;
const get = (path: string) => world.http.get(users(path)).set(tenant.server);
const post = (path: string, body?: object) => world.http.post(users(path)).set(tenant.server).send(body);
const disable = (id: string) => post(`/${id}/disable`);
const enable = (id: string) => post(`/${id}/enable`);
const erase = (id: string) => world.http.delete(users(`/${id}`)).set(tenant.server);
const me = (player: Pick<Player, 'headers'>) => world.http.get('/v1/client/users/me').set(player.headers);
const auditLog = async (target: string) => {
  const path = `/v1/admin/projects/${tenant.id}/audit-log?target_id=${target}`;
  return (await world.http.get(path).set(tenant.server).expect(200)).body.data;
};

async function guest() {
  const { body } = await world.auth(tenant, 'anonymous').expect(201);
  const headers = { 'x-api-key': tenant.clientKey, authorization: `Bearer ${body.data.session_token}` };
  return { ...body.data, id: body.data.user.id as string, headers };
}

describe('the list of users', () => {
  it('is newest first, in pages, with their state', async () => {
    const made = [await guest(), await guest(), await guest()];
    const { body } = await get('').expect(200);
    expect([body.total, body.data.map(({ id }: { id: string }) => id)]).toEqual([
      3,
      made.map(({ id }) => id).reverse(),
    ]);
    expect(body.data[0]).toEqual({
      ...(await me(made[2]).expect(200)).body.data,
      disabled_at: null,
      erased_at: null,
    });
    expect((await get('?limit=1&offset=1').expect(200)).body.data).toEqual([body.data[1]]);
  });

  it('is searched by part of a name, an address or an external id, by id, and by code', async () => {
    const grace = await guest();
    await world.auth(tenant, 'email/signup', {
      email: 'Grace.Hopper@example.com',
      password: 'correct horse',
    });
    const session = await post('/session', {
      external_id: 'Player_42%',
      display_name: 'Ada Lovelace',
    }).expect(201);
    const ada = session.body.data.user.id;
    const { code } = (await world.myCode(grace).expect(201)).body.data;
    const found = async (search: string) => {
      const { body } = await get(`?search=${encodeURIComponent(search)}`).expect(200);
      return body.data.map(({ id, email }: { id: string; email: string }) => email ?? id);
    };
    expect(await found('HOPPER')).toEqual(['grace.hopper@example.com']);
    expect(await found('lovelace')).toEqual([ada]);
    expect(await found('er_42%')).toEqual([ada]);
    expect(await found('%')).toEqual([ada]);
    expect(await found(ada.toUpperCase())).toEqual([ada]);
    expect(await found(`${code.slice(0, 4)}-${code.slice(4)}`.toLowerCase())).toEqual([grace.id]);
    expect(await found(grace.anonymous_id)).toEqual([grace.id]);
    expect(await found('nobody')).toEqual([]);
    expect(await found('')).toHaveLength(3);
  });
});

describe('a user', () => {
  it('is shown with code, referrers, referred and balances', async () => {
    await tenant.currency({ code: 'gems' });
    const [ada, grace, lin] = [await tenant.player(), await tenant.player(), await tenant.player()];
    await tenant.code({ code: 'ADA', userId: ada.id, rewardReferee: { gems: 5 } });
    await tenant.code({ code: 'GRACE', userId: grace.id });
    const first = (await world.claim(grace, 'ADA').expect(201)).body.data;
    const second = (await world.claim(lin, 'GRACE').expect(201)).body.data;
    const { body } = await get(`/${grace.id}`).expect(200);
    expect(body.data).toEqual({
      user: { ...(await me(grace)).body.data, disabled_at: null, erased_at: null },
      referral_code: { id: second.referral_code_id, code: 'GRACE', current_uses: 1, is_active: true },
      referred_by: [
        {
          ...{ claim_id: first.id, referral_code_id: first.referral_code_id, code: 'ADA' },
          ...{ referrer_id: ada.id, claimed_at: first.claimed_at },
        },
      ],
      referred: [{ claim_id: second.id, referee_id: lin.id, claimed_at: second.claimed_at }],
      balances: [
        {
          ...{ currency_code: 'gems', name: 'gems', is_premium: false },
          balance: 5,
          lifetime_earned: 5,
          lifetime_spent: 0,
        },
      ],
    });
    expect((await get(`/${lin.id}`).expect(200)).body.data).toMatchObject({
      referral_code: null,
      referred: [],
    });
  });

  it('of another project, or of none, is 404 for everything, and stays as it was', async () => {
    const stranger = await (await world.tenant()).player();
    for (const id of [stranger.id, randomUUID(), 'no-uuid']) {
      const answers = [await get(`/${id}`), await get(`/${id}/export`), await disable(id), await enable(id)];
      expect(tally([...answers, await erase(id)])).toEqual({ '404 NOT_FOUND': 5 });
    }
    await me(stranger).expect(200);
  });
});

describe('a disabled user', () => {
  it('is out at once, with the code, and back with the same sessions when enabled', async () => {
    const ada = await guest();
    const other = await tenant.player();
    const { code } = (await world.myCode(ada).expect(201)).body.data;
    const { body } = await disable(ada.id).expect(200);
    expect(body.data).toEqual({ id: ada.id, disabled_at: expect.any(String), erased_at: null });
    const refresh = { refresh_token: ada.refresh_token };
    expect(
      tally([await me(ada), await world.auth(tenant, 'refresh', refresh), await world.claim(other, code)]),
    ).toEqual({ '401 INVALID_TOKEN': 2, '404 INVALID_CODE': 1 });
    await disable(ada.id).expect(200, body);

    await enable(ada.id).expect(200, { data: { id: ada.id, disabled_at: null, erased_at: null } });
    await me(ada).expect(200);
    await world.auth(tenant, 'refresh', refresh).expect(200);
    await world.claim(other, code).expect(201);
    expect((await auditLog(ada.id)).map((line: any) => [line.action, line.before, line.after])).toEqual([
      ['user.enable', body.data, { disabled_at: null }].map(withoutId),
      ['user.disable', { disabled_at: null }, body.data].map(withoutId),
    ]);
  });

  it('who had logged out stays logged out when enabled', async () => {
    const ada = await guest();
    await world.auth(tenant, 'logout', { refresh_token: ada.refresh_token }).expect(200);
    await disable(ada.id).expect(200);
    await enable(ada.id).expect(200);
    expect(tally([await me(ada)])).toEqual({ '401 INVALID_TOKEN': 1 });
  });

  it('cannot come in by any door', async () => {
    const credentials = { email: 'ada@example.com', password: 'correct horse' };
    const { body } = await world.auth(tenant, 'email/signup', credentials).expect(201);
    const { user } = (await post('/session', { external_id: 'ada' }).expect(201)).body.data;
    await disable(body.data.user.id).expect(200);
    await disable(user.id).expect(200);
    expect(
      tally([
        await world.auth(tenant, 'email/login', credentials),
        await post('/session', { external_id: 'ada', display_name: 'Other' }),
      ]),
    ).toEqual({ '401 INVALID_CREDENTIALS': 1, '401 INVALID_TOKEN': 1 });
    expect((await get(`/${user.id}`)).body.data.user.display_name).toBe(user.display_name);
  });

  it('amid 40 sign-ins has no session that works, however they interleave', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { user } = (await post('/session', { external_id: `r${round}` }).expect(201)).body.data;
      const signIns = Array.from({ length: 8 }, () => post('/session', { external_id: `r${round}` }));
      const [answers] = await Promise.all([Promise.all(signIns), disable(user.id).expect(200)]);
      for (const { status } of answers) expect([201, 401]).toContain(status);
      const live = await world.db.query(
        `SELECT id FROM sessions WHERE project_id = $1 AND user_id = $2 AND revoked_at IS NULL`,
        [tenant.id, user.id],
      );
      expect(live).toEqual([]);
    }
  });
});

describe('an erased user', () => {
  it('is a tombstone: nothing personal is left, claims and ledger are whole', async () => {
    await tenant.currency({ code: 'gems' });
    const ada = await guest();
    const grace = await tenant.player();
    const token = ada.headers.authorization.slice('Bearer '.length);
    const credentials = { email: 'ada.lovelace@example.com', password: 'correct horse' };
    await world.auth(tenant, 'email/signup', credentials, token).expect(201);
    await world.http
      .patch('/v1/client/users/me')
      .set(ada.headers)
      .send({
        display_name: 'Ada Lovelace',
        avatar_url: 'https://example.com/ada-lovelace.png',
        properties: { city: 'Lovelace-Town' },
        timezone: 'Europe/London',
      })
      .expect(200);
    await world.db.query(
      `INSERT INTO user_identities (project_id, provider, provider_id, user_id) VALUES ($1, 'google', 'lovelace-sub', $2)`,
      [tenant.id, ada.id],
    );
    await tenant.code({ code: 'LOVELACE', userId: ada.id, rewardReferrer: { gems: 5 } });
    await world.claim(grace, 'LOVELACE').expect(201);
    const promo = await tenant.code({ code: 'PROMO', rewardReferee: { gems: 2 } });
    await world.claim(ada, 'PROMO', { 'idempotency-key': 'lovelace-key' }).expect(201);

    const { body } = await erase(ada.id).expect(200);
    expect(body.data).toMatchObject({
      user: {
        ...{ id: ada.id, email: null, display_name: 'Erased user', avatar_url: null, external_id: null },
        ...{ anonymous_id: null, auth_providers: [], properties: {}, timezone: null },
        ...{ disabled_at: expect.any(String), erased_at: expect.any(String) },
      },
      referral_code: { current_uses: 1, is_active: false },
      referred_by: [{ referral_code_id: promo.id }],
      referred: [{ referee_id: grace.id }],
      balances: [{ currency_code: 'gems', balance: 7 }],
    });
    expect(await mentions(/lovelace|ada\.|anon_/i)).toEqual([]);
    expect(
      tally([
        await me(ada),
        await world.auth(tenant, 'refresh', { refresh_token: ada.refresh_token }),
        await world.auth(tenant, 'email/login', credentials),
        await world.claim(await tenant.player(), 'LOVELACE'),
        await enable(ada.id),
        await erase(ada.id),
      ]),
    ).toEqual({
      ...{
        '401 INVALID_TOKEN': 2,
        '401 INVALID_CREDENTIALS': 1,
        '404 INVALID_CODE': 1,
        '409 USER_ERASED': 2,
      },
    });
    await disable(ada.id).expect(200);
    const grant = { app_user_id: ada.id, currency_code: 'gems', amount: 1 };
    const path = `/v1/admin/projects/${tenant.id}/currencies/grant`;
    expect(tally([await world.http.post(path).set(tenant.server).send(grant)])).toEqual({
      '409 USER_ERASED': 1,
    });
    await world.auth(tenant, 'email/signup', credentials).expect(201);
  });

  it('amid claims of the code: each is made or refused, none fails', async () => {
    for (let round = 0; round < 5; round += 1) {
      const owner = await tenant.player();
      await tenant.code({ code: `ROUND${round}`, userId: owner.id });
      const players = await tenant.players(8);
      const [claims] = await Promise.all([
        Promise.all(players.map((player) => world.claim(player, `ROUND${round}`))),
        erase(owner.id).expect(200),
      ]);
      for (const answer of claims)
        expect(['201', '404 INVALID_CODE']).toContain(Object.keys(tally([answer]))[0]);
    }
  });

  it('cannot be filled again, not even by the database’s owner', async () => {
    const ada = await guest();
    await erase(ada.id).expect(200);
    for (const change of [`email = 'a@example.com'`, `display_name = 'Ada'`, `disabled_at = NULL`])
      await expect(
        world.db.query(`UPDATE app_users SET ${change} WHERE id = $1`, [ada.id]),
      ).rejects.toMatchObject({ code: '23514' });
  });
});

describe('the export of a user', () => {
  it('has everything that is stored of the user, and nothing of others', async () => {
    await tenant.currency({ code: 'gems', initialBalance: 1 });
    const { body: made } = await post('/session', { external_id: 'ada', display_name: 'Ada' }).expect(201);
    const ada = {
      id: made.data.user.id,
      headers: { 'x-api-key': tenant.clientKey, authorization: `Bearer ${made.data.session_token}` },
    };
    const grace = await tenant.player('grace-hopper');
    await tenant.code({ code: 'ADA', userId: ada.id, rewardReferrer: { gems: 5 } });
    const claim = (await world.claim(grace, 'ADA').expect(201)).body.data;
    const answer = await get(`/${ada.id}/export`).expect(200);
    expect(answer.headers['content-disposition']).toBe(`attachment; filename="user-${ada.id}.json"`);
    expect(answer.body.data).toMatchObject({
      profile: [{ id: ada.id, external_id: 'ada', display_name: 'Ada', properties: {} }],
      identities: [],
      sessions: [{ revoked_at: null }],
      referral_codes: [{ code: 'ADA', current_uses: 1 }],
      claims_made: [],
      claims_of_own_code: [{ id: claim.id, reward_referrer: { gems: 5 } }],
      balances: [{ currency_code: 'gems', balance: 6 }],
      transactions: [
        { source: 'system', amount: 1 },
        { source: 'referral', amount: 5, reference_id: claim.id },
      ],
      rewards: [{ claim_id: claim.id, side: 'referrer', amount: 5, granted: 5, status: 'granted' }],
    });
    expect(answer.text).not.toContain(grace.id);
    expect(answer.text).not.toMatch(/argon2|digest|password/);
  });
});

function withoutId(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const state = Object.entries({ erased_at: null, ...value }).filter(([name]) => name !== 'id');
  return Object.fromEntries(state);
}

/** The tables in which some row of the tenant says what was to be forgotten. */
async function mentions(pattern: RegExp): Promise<string[]> {
  const tables = await world.db.query(
    `SELECT DISTINCT table_name AS name FROM information_schema.columns
      WHERE table_schema = 'public' AND column_name = 'project_id'`,
  );
  const found = [];
  for (const { name } of tables) {
    const rows = await world.db.query(
      `SELECT row_to_json(t)::text AS row FROM ${name} t WHERE project_id = $1`,
      [tenant.id],
    );
    if (rows.some(({ row }: { row: string }) => pattern.test(row))) found.push(name);
  }
  return found;
}
