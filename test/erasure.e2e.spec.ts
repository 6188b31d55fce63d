import { behind } from './support/behind';
import { tally, useWorld, type Player, type Tenant } from './support/world';

/** After an erasure nothing new is known of the user, whoever asks and however long ago the request began. */
const world = useWorld();

let tenant: Tenant;
let ada: Player;

beforeEach(async () => {
  tenant = await world.tenant();
  await tenant.currency({ code: 'gems' });
  await tenant.code({ code: 'PROMO' });
  ada = await tenant.player('ada-lovelace');
});

const admin = (path: string) => `/v1/admin/projects/${tenant.id}/${path}`;
const post = (path: string, body: object) => world.http.post(admin(path)).set(tenant.server).send(body);
const erase = () => world.http.delete(admin(`users/${ada.id}`)).set(tenant.server);

/** What each request answers that would make something new of the user. */
const REQUESTS: Record<string, { send: () => Promise<any>; outcome: string }> = {
  'a profile': {
    send: () =>
      world.http.patch('/v1/client/users/me').set(ada.headers).send({ display_name: 'Ada Lovelace' }),
    outcome: '401 INVALID_TOKEN',
  },
  'a code of one’s own': { send: () => world.myCode(ada), outcome: '401 INVALID_TOKEN' },
  'a claim with a key': {
    send: () => world.claim(ada, 'PROMO', { 'idempotency-key': 'ada@example.com' }),
    outcome: '401 INVALID_TOKEN',
  },
  'a code from a developer': {
    send: () => post('referrals', { app_user_id: ada.id, code: 'ADA-LOVELACE' }),
    outcome: '409 USER_ERASED',
  },
  'a grant by hand': {
    send: () =>
      post('currencies/grant', { app_user_id: ada.id, currency_code: 'gems', amount: 1, reason: 'Ada' }),
    outcome: '409 USER_ERASED',
  },
};

/** All that must be empty of an erased user. */
async function traces() {
  const [row] = await world.db.query(
    `SELECT (SELECT count(*) FROM user_identities WHERE user_id = $1) AS identities,
            (SELECT count(*) FROM claim_idempotency_keys WHERE user_id = $1) AS keys,
            (SELECT count(*) FROM referral_codes WHERE user_id = $1 AND is_active) AS codes,
            (SELECT count(*) FROM admin_grants WHERE user_id = $1) AS grants`,
    [ada.id],
  );
  return row;
}

const NOTHING = { identities: 0, keys: 0, codes: 0, grants: 0 };

it.each(Object.entries(REQUESTS))(
  '%s that waits for the erasure is refused',
  async (_, { send, outcome }) => {
    const answers = await behind(
      world.db,
      async (queryRunner) => {
        const user = [tenant.id, ada.id];
        await queryRunner.query(`SELECT FROM app_users WHERE project_id = $1 AND id = $2 FOR UPDATE`, user);
        await queryRunner.query(
          `UPDATE app_users SET external_id = NULL, properties = '{}', display_name = 'Erased user',
                disabled_at = now(), erased_at = now() WHERE project_id = $1 AND id = $2`,
          user,
        );
        await queryRunner.query(
          `UPDATE sessions SET revoked_at = now() WHERE project_id = $1 AND user_id = $2`,
          user,
        );
      },
      () => [send()],
    );
    expect(tally(answers)).toEqual({ [outcome]: 1 });
    expect(await traces()).toEqual(NOTHING);
  },
);

it.each(['a code from a developer', 'a grant by hand'])('%s that comes later is refused', async (name) => {
  await erase().expect(200);
  expect(tally([await REQUESTS[name]?.send()])).toEqual({ '409 USER_ERASED': 1 });
  expect(await traces()).toEqual(NOTHING);
});

it('the database refuses it too, table by table', async () => {
  await erase().expect(200);
  const user = [tenant.id, ada.id];
  const inserts = [
    `INSERT INTO user_identities (project_id, provider, provider_id, user_id) VALUES ($1, 'google', 'ada-sub', $2)`,
    `INSERT INTO referral_codes (project_id, user_id, code) VALUES ($1, $2, 'LOVELACE')`,
    `INSERT INTO claim_idempotency_keys (project_id, user_id, key, request_digest, claim_id)
     VALUES ($1, $2, 'ada', sha256('x'), gen_random_uuid())`,
    `INSERT INTO admin_grants (project_id, id, user_id, currency_id, amount)
     SELECT $1, gen_random_uuid(), $2, id, 1 FROM currencies WHERE project_id = $1`,
  ];
  for (const sql of inserts)
    await expect(world.db.query(sql, user)).rejects.toMatchObject({
      constraint: 'app_users_erased_for_good',
    });
});

it('a code that is made while the erasure waits for its owner is forgotten with it', async () => {
  const [answer] = await behind(
    world.db,
    async (queryRunner) => {
      await queryRunner.query(`SELECT FROM app_users WHERE id = $1 FOR NO KEY UPDATE`, [ada.id]);
      await queryRunner.query(
        `INSERT INTO referral_codes (project_id, user_id, code) VALUES ($1, $2, 'LOVELACE')`,
        [tenant.id, ada.id],
      );
    },
    () => [Promise.resolve(erase())],
  );
  expect(answer?.status).toBe(200);
  expect(await traces()).toEqual(NOTHING);
  const [{ code }] = await world.db.query(`SELECT code FROM referral_codes WHERE user_id = $1`, [ada.id]);
  expect(code).not.toContain('LOVELACE');
});

it('a code of a user is never spelt in the audit log, that of a template is', async () => {
  const own = (await post('referrals', { app_user_id: ada.id, code: 'ADA-LOVELACE' }).expect(201)).body.data;
  await world.http
    .patch(admin(`referrals/${own.id}`))
    .set(tenant.server)
    .send({ max_uses: 5 })
    .expect(200);
  await world.http
    .delete(admin(`referrals/${own.id}`))
    .set(tenant.server)
    .expect(200);
  await post('referrals', { code: 'WELCOME' }).expect(201);
  const { text } = await world.http.get(admin('audit-log')).set(tenant.server).expect(200);
  expect(text).not.toMatch(/lovelace/i);
  expect(text).toContain('WELCOME');
});

it('the key of a grant by hand is kept as a digest only', async () => {
  const grant = { app_user_id: ada.id, currency_code: 'gems', amount: 1 };
  await post('currencies/grant', grant).set({ 'idempotency-key': 'welcome:ada@example.com' }).expect(201);
  const rows = await world.db.query(`SELECT row_to_json(g)::text AS row FROM admin_grants g`);
  expect(JSON.stringify(rows)).not.toContain('ada@example.com');
});

it('a logout while the user is disabled is not undone when the user is enabled', async () => {
  const { body } = await world.auth(tenant, 'anonymous').expect(201);
  const { user, session_token, refresh_token } = body.data;
  const headers = { 'x-api-key': tenant.clientKey, authorization: `Bearer ${session_token}` };
  await post(`users/${user.id}/disable`, {}).expect(200);
  await world.auth(tenant, 'logout', { refresh_token }).expect(200);
  await post(`users/${user.id}/enable`, {}).expect(200);
  expect(
    tally([
      await world.http.get('/v1/client/users/me').set(headers),
      await world.auth(tenant, 'refresh', { refresh_token }),
    ]),
  ).toEqual({ '401 INVALID_TOKEN': 2 });
});
