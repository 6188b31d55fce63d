import { DeveloperSessionsService } from '../src/auth/developer-sessions.service';
import { DevelopersService } from '../src/developers/developers.service';
import { ApiKeysService } from '../src/projects/api-keys.service';
import { behind } from './support/behind';
import { limitedTo, onWorld, tally, TESTER, useWorld, type Tenant } from './support/world';

/** Admin writes that run into one another: each lock, seen by what is answered without it. */
const world = useWorld({ signup: 'open' });

let tenant: Tenant;

beforeEach(async () => {
  tenant = await world.tenant();
});

const admin = (path: string) => `/v1/admin/projects/${tenant.id}/${path}`;

async function auditLog(query: string) {
  const { body } = await world.http
    .get(admin(`audit-log?limit=200&${query}`))
    .set(tenant.server)
    .expect(200);
  return body.data;
}

it('a new max_uses is held against the claims that were under way', async () => {
  const { id } = await tenant.code({ code: 'RACE' });
  const players = await tenant.players(3);
  for (const player of players) await world.claim(player, 'RACE').expect(201);
  const [answer] = await behind(
    world.db,
    (queryRunner) => queryRunner.query(`UPDATE referral_codes SET is_active = true WHERE id = $1`, [id]),
    () => [
      world.http
        .patch(admin(`referrals/${id}`))
        .set(tenant.server)
        .send({ max_uses: 2 }),
    ],
  );
  expect(answer?.body.error).toMatchObject({ code: 'MAX_USES_TOO_LOW', details: { current_uses: 3 } });

  const promo = await tenant.code({ code: 'PROMO', maxUses: 5 });
  const late = await tenant.player();
  const [patched] = await behind(
    world.db,
    async (queryRunner) => {
      await queryRunner.query(`SELECT FROM referral_codes WHERE id = $1 FOR UPDATE`, [promo.id]);
      await queryRunner.query(
        `INSERT INTO referral_claims (project_id, id, referral_code_id, referee_id, reward_referrer, reward_referee)
         VALUES ($1, gen_random_uuid(), $2, $3, '{}', '{}')`,
        [tenant.id, promo.id, late.id],
      );
      await queryRunner.query(`UPDATE referral_codes SET current_uses = 1 WHERE id = $1`, [promo.id]);
    },
    () => [
      world.http
        .patch(admin(`referrals/${promo.id}`))
        .set(tenant.server)
        .send({ max_uses: 3 }),
    ],
  );
  expect(patched?.body.data).toMatchObject({ max_uses: 3, current_uses: 1 });
  // what the log says was there before is what the change found, not what it saw before it waited
  const [line] = await auditLog(`target_id=${promo.id}`);
  expect(line.before).toMatchObject({ current_uses: 1, max_uses: 5 });
});

it('a lower maximum is held against a grant that was under way, and says who stands above', async () => {
  const { id } = await tenant.currency({ code: 'gems', maxBalance: 100 });
  const player = await tenant.player();
  await world.http
    .post(admin('currencies/grant'))
    .set(tenant.server)
    .send({ app_user_id: player.id, currency_code: 'gems', amount: 10 })
    .expect(201);
  const [answer] = await behind(
    world.db,
    async (queryRunner) => {
      await queryRunner.query(`SELECT FROM currencies WHERE id = $1 FOR SHARE`, [id]);
      await queryRunner.query(
        `UPDATE balances SET balance = 60, lifetime_earned = 60, last_entry_no = 2 WHERE currency_id = $1`,
        [id],
      );
      await queryRunner.query(
        `INSERT INTO currency_transactions (project_id, user_id, currency_id, entry_no, requested, amount, balance_after,
                                            max_balance, transaction_type, source)
         VALUES ($1, $2, $3, 2, 50, 50, 60, 100, 'earn', 'event')`,
        [tenant.id, player.id, id],
      );
    },
    () => [
      world.http
        .patch(admin(`currencies/${id}`))
        .set(tenant.server)
        .send({ max_balance: 40 }),
    ],
  );
  expect(answer?.body.error).toMatchObject({
    code: 'MAX_BALANCE_TOO_LOW',
    message: '1 user stands above this maximum. Choose at least 60.',
    details: { users_above: 1, highest_balance: 60 },
  });
});

it('no session is opened for a user who is being disabled', async () => {
  const login = { email: 'ada@example.com', password: 'correct horse' };
  const { id } = (await world.auth(tenant, 'email/signup', login).expect(201)).body.data.user;
  const answers = await behind(
    world.db,
    async (queryRunner) => {
      await queryRunner.query(`SELECT FROM app_users WHERE id = $1 FOR UPDATE`, [id]);
      await queryRunner.query(`UPDATE app_users SET disabled_at = now() WHERE id = $1`, [id]);
      await queryRunner.query(`UPDATE sessions SET revoked_at = now() WHERE user_id = $1`, [id]);
    },
    () => [world.auth(tenant, 'email/login', login)],
  );
  expect(tally(answers)).toEqual({ '401 INVALID_CREDENTIALS': 1 });
});

it('each of ten changes at once finds what the one before it left', async () => {
  const { id: currencyId } = await tenant.currency({ code: 'gems' });
  const names = Array.from({ length: 10 }, (_, i) => `Name ${i}`);
  const targets: [string, string, (name: string) => object][] = [
    [`/v1/admin/projects/${tenant.id}`, 'project.update', (name) => ({ name })],
    [admin(`currencies/${currencyId}`), 'currency.update', (name) => ({ name })],
  ];
  for (const [path, action, body] of targets) {
    const answers = await Promise.all(
      names.map((name) => world.http.patch(path).set(tenant.server).send(body(name))),
    );
    expect(tally(answers)).toEqual({ '200': 10 });
    const log = await auditLog(`action=${action}`);
    expect(log).toHaveLength(10);
    for (const [i, line] of log.slice(0, -1).entries()) expect(line.before).toEqual(log[i + 1].after);
  }
});

it('each of ten settings of a sign-in provider at once finds what the one before it left', async () => {
  const set = (audience: string) =>
    world.http
      .put(admin('identity-providers/google'))
      .set(tenant.server)
      .send({ audiences: [audience] });
  await set('first').expect(200);
  const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => set(`app-${i}`)));
  expect(tally(answers)).toEqual({ '200': 10 });
  const log = await auditLog('action=identity_provider.set');
  expect(log).toHaveLength(11);
  for (const [i, line] of log.slice(0, -1).entries()) expect(line.before).toEqual(log[i + 1].after);
});

it('a deleted currency comes back once, of five requests at once', async () => {
  await tenant.currency({ code: 'gems' });
  await tenant.deleteCurrency('gems');
  const answers = await behind(
    world.db,
    (queryRunner) =>
      queryRunner.query(`UPDATE currencies SET name = name WHERE project_id = $1`, [tenant.id]),
    () =>
      Array.from({ length: 5 }, () =>
        world.http.post(admin('currencies')).set(tenant.server).send({ code: 'gems', name: 'Gems' }),
      ),
  );
  expect(tally(answers)).toEqual({ '201': 1, '409 CURRENCY_EXISTS': 4 });
});

it('what is sent again and changes nothing leaves no line', async () => {
  const { id } = await tenant.player();
  for (let i = 0; i < 3; i += 1)
    await world.http
      .post(admin(`users/${id}/disable`))
      .set(tenant.server)
      .expect(200);
  for (let i = 0; i < 3; i += 1)
    await world.http
      .post(admin(`users/${id}/enable`))
      .set(tenant.server)
      .expect(200);
  expect((await auditLog(`target_id=${id}`)).map((line: any) => line.action)).toEqual([
    'user.enable',
    'user.disable',
  ]);
});

it('a key is rotated once: an inactive one makes no other', async () => {
  const keys = world.app.get(ApiKeysService);
  const { data } = await keys.list(tenant.id, { limit: 10, offset: 0 });
  const { id } = data.find(({ key_type }) => key_type === 'client')!;
  const attempts = await Promise.allSettled(
    Array.from({ length: 5 }, () => keys.rotate(TESTER, tenant.id, id)),
  );
  expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  const active = (await keys.list(tenant.id, { limit: 10, offset: 0 })).data.filter((key) => key.is_active);
  expect(active.map(({ key_type }) => key_type).sort()).toEqual(['client', 'server']);
});

describe('a developer', () => {
  const credentials = () => ({ email: `${Math.random()}@example.com`, password: 'correct horse' });

  it('is the first one only, also when ten insert at the same moment', async () => {
    await onWorld({ signup: 'first' }, async (own) => {
      await own.db.query(
        `CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END $$;
       CREATE TRIGGER slowly BEFORE INSERT ON developers FOR EACH ROW EXECUTE FUNCTION slowly();`,
      );
      const signUp = () => own.http.post('/v1/auth/developer/signup').send(credentials());
      const answers = await Promise.all(Array.from({ length: 10 }, signUp));
      expect(tally(answers)).toEqual({ '201': 1, '403 SIGNUP_CLOSED': 9 });
    });
  });

  it('whose password is reset is out: old password, sessions, token, and a login that was under way', async () => {
    const developers = world.app.get(DevelopersService);
    const { email, password } = credentials();
    const made = (await world.http.post('/v1/auth/developer/signup').send({ email, password }).expect(201))
      .body.data;
    const checked = await developers.authenticate(email, password);
    const reset = await developers.resetPassword(TESTER, made.developer.id);
    await expect(
      world.app.get(DeveloperSessionsService).open(made.developer.id, checked.passwordHash),
    ).rejects.toMatchObject({ code: 'INVALID_CREDENTIALS' });
    const me = (token: string) =>
      world.http.get('/v1/auth/developer/me').set({ authorization: `Bearer ${token}` });
    const logIn = (secret: string) =>
      world.http.post('/v1/auth/developer/login').send({ email, password: secret });
    expect(
      tally([
        await me(made.access_token),
        await me(made.pat),
        await logIn(password),
        await logIn(reset.password),
      ]),
    ).toEqual({ '401 INVALID_TOKEN': 2, '401 INVALID_CREDENTIALS': 1, '200': 1 });
    await me(reset.pat).expect(200);
  });

  it('is guarded against guesses from many addresses', async () => {
    await onWorld(
      {
        ...{ signup: 'open', trustProxy: 1, ...limitedTo({ 'guess-user': 3 }) },
      },
      async (own) => {
        const { email, password } = credentials();
        await own.http.post('/v1/auth/developer/signup').send({ email, password }).expect(201);
        const logIn = (secret: string, last: number) =>
          own.http
            .post('/v1/auth/developer/login')
            .set('x-forwarded-for', `203.0.113.${last}`)
            .send({ email, password: secret });
        const answers = [];
        for (let last = 1; last <= 5; last += 1) answers.push(await logIn('wrong horse', last));
        answers.push(await logIn(password, 6));
        expect(tally(answers)).toEqual({ '401 INVALID_CREDENTIALS': 3, '429 RATE_LIMITED': 3 });
      },
    );
  });

  it('may sign up from one address only so often a day', async () => {
    await onWorld(
      {
        signup: 'open',
        rateLimits: {
          ...world.config.rateLimits,
          'developer-signup-day': { requests: 2, perS: 86_400 },
        },
      },
      async (own) => {
        const answers = [];
        for (let i = 0; i < 3; i += 1)
          answers.push(await own.http.post('/v1/auth/developer/signup').send({}));
        expect(tally(answers)).toEqual({ '400 INVALID_INPUT': 2, '429 RATE_LIMITED': 1 });
        expect(Number(answers[2]?.headers['retry-after'])).toBeGreaterThan(3_600);
      },
    );
  });
});
