import { randomUUID } from 'node:crypto';
import { useWorld, type Player, type Tenant } from './support/world';

const world = useWorld();

let tenant: Tenant;
let ada: Player;
let grace: Player;

beforeEach(async () => {
  tenant = await world.tenant();
  await tenant.currency({ code: 'gems' });
  await tenant.currency({ code: 'gold' });
  [ada, grace] = (await tenant.players(2)) as [Player, Player];
});

async function codeOf(player: Player): Promise<string> {
  return (await world.myCode(player)).body.data.code;
}

describe('GET /client/referrals/my-code', () => {
  it('makes the code on the first read and returns the same one after', async () => {
    const first = await world.myCode(ada).expect(201);
    expect(first.body).toEqual({
      data: {
        id: expect.any(String),
        app_user_id: ada.id,
        code: expect.stringMatching(/^[ABCDEFGHJKMNPQRSTUVWXYZ2-9]{8}$/),
        reward_referrer: {},
        reward_referee: {},
        current_uses: 0,
        max_uses: null,
        is_active: true,
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        updated_at: expect.any(String),
      },
    });
    const second = await world.myCode(ada).expect(200);
    expect(second.body).toEqual(first.body);
  });

  it('makes codes of the length that the project asks for', async () => {
    const long = await world.tenant({ referralCodeLength: 16 });
    expect(await codeOf(await long.player())).toHaveLength(16);
  });

  it('copies the rewards of the oldest active template, and not its max_uses', async () => {
    await tenant.code({ code: 'OLDEST', rewardReferrer: { gems: 1 }, maxUses: 3 });
    await world.db.query(`UPDATE referral_codes SET is_active = false WHERE code = 'OLDEST'`);
    await tenant.code({
      code: 'OLDER',
      rewardReferrer: { currency: 'gems', amount: 50 },
      rewardReferee: { gold: 5, gems: 7 },
      maxUses: 3,
    });
    await tenant.code({ code: 'NEWER', rewardReferrer: { gems: 99 } });
    const { body } = await world.myCode(ada).expect(201);
    expect(body.data).toMatchObject({
      reward_referrer: { currency: 'gems', amount: 50 },
      reward_referee: { gold: 5, gems: 7 },
      max_uses: null,
    });
    expect(Object.keys(body.data.reward_referee)).toEqual(['gold', 'gems']);
  });

  it('leaves codes alone when their template changes: only later codes differ', async () => {
    await tenant.code({ code: 'TEMPLATE', rewardReferrer: { gems: 10 } });
    await world.myCode(ada).expect(201);
    await world.db.query(
      `UPDATE referral_codes SET reward_referrer = '{"gems": 20}' WHERE code = 'TEMPLATE' AND project_id = $1`,
      [tenant.id],
    );
    expect((await world.myCode(grace).expect(201)).body.data.reward_referrer).toEqual({ gems: 20 });
    expect((await world.myCode(ada).expect(200)).body.data.reward_referrer).toEqual({ gems: 10 });
  });

  it('gives up after five codes that were taken: 500 RETRY_EXHAUSTED', async () => {
    await tenant.code({ code: 'TAKEN' });
    await withTrigger(`NEW.code := 'TAKEN'; RETURN NEW;`, async () => {
      const { body } = await world.myCode(ada).expect(500);
      expect(body.error.code).toBe('RETRY_EXHAUSTED');
    });
    await world.myCode(ada).expect(201);
  });

  it('says 500 CREATE_FAILED when the code cannot be stored', async () => {
    await withTrigger(`RAISE EXCEPTION 'disk on fire';`, async () => {
      const { body } = await world.myCode(ada).expect(500);
      expect(body.error).toEqual({
        code: 'CREATE_FAILED',
        message: expect.any(String),
        request_id: expect.any(String),
      });
    });
  });

  async function withTrigger(body: string, work: () => Promise<void>): Promise<void> {
    await world.db.query(
      `CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} END $$`,
    );
    await world.db.query(
      `CREATE TRIGGER sabotage BEFORE INSERT ON referral_codes FOR EACH ROW EXECUTE FUNCTION sabotage()`,
    );
    try {
      await work();
    } finally {
      await world.db.query(`DROP FUNCTION sabotage CASCADE`);
    }
  }
});

describe('POST /client/referrals/claim', () => {
  it('pays both sides and answers with the claim', async () => {
    await tenant.code({
      code: 'TEMPLATE',
      rewardReferrer: { gems: 50 },
      rewardReferee: { gems: 25, gold: 5 },
    });
    const { body: code } = await world.myCode(ada).expect(201);
    const { body } = await world.claim(grace, code.data.code).expect(201);
    expect(body).toEqual({
      data: {
        id: expect.any(String),
        referral_code_id: code.data.id,
        referrer_id: ada.id,
        referee_id: grace.id,
        claimed_at: expect.stringMatching(/Z$/),
        rewards: [
          { currency_code: 'gems', amount: 25, granted: 25, status: 'granted' },
          { currency_code: 'gold', amount: 5, granted: 5, status: 'granted' },
        ],
      },
    });
    expect(await world.balance(ada, 'gems')).toBe(50);
    expect(await world.balance(grace, 'gems')).toBe(25);
    expect(await world.balance(grace, 'gold')).toBe(5);
    expect(await world.transactions(ada)).toEqual([
      {
        id: expect.any(String),
        app_user_id: ada.id,
        currency_code: 'gems',
        amount: 50,
        requested_amount: 50,
        balance_after: 50,
        transaction_type: 'earn',
        source: 'referral',
        reference_id: body.data.id,
        created_at: expect.stringMatching(/Z$/),
      },
    ]);
    expect((await world.myCode(ada)).body.data.current_uses).toBe(1);
  });

  it.each(['/client', '/v1/client'])('answers under %s', async (plane) => {
    const code = (await world.http.get(`${plane}/referrals/my-code`).set(ada.headers).expect(201)).body.data
      .code;
    await world.http.post(`${plane}/referrals/claim`).set(grace.headers).send({ code }).expect(201);
    await world.http.get(`${plane}/currencies`).set(grace.headers).expect(200);
    await world.http.get(`${plane}/currencies/transactions`).set(grace.headers).expect(200);
  });

  it.each(['ada-invites', ' ADA INVITES ', 'Ada-Invites', 'A D A I N V I T E S', 'adainvites'])(
    'finds ADA-INVITES as %j',
    async (typed) => {
      await tenant.code({ code: 'ADA-INVITES' });
      await world.claim(grace, typed).expect(201);
    },
  );

  it.each([
    'ADA',
    '   ',
    '---',
    'ſhare',
    '\u212Aelvin',
    'ＡＤＡ',
    'ADA\tINVITES',
    "' OR 1=1 --",
    '💎',
    'A'.repeat(64),
  ])('knows no code %j: 404 INVALID_CODE', async (typed) => {
    await tenant.code({ code: 'share' });
    await tenant.code({ code: 'kelvin' });
    const { body } = await world.claim(grace, typed).expect(404);
    expect(body.error.code).toBe('INVALID_CODE');
  });

  it('cannot tell an inactive, deleted or ownerless code from one that never was', async () => {
    const answers = [];
    for (const [name, sql] of Object.entries({
      inactive: `UPDATE referral_codes SET is_active = false WHERE user_id = $1`,
      deleted: `UPDATE referral_codes SET deleted_at = now() WHERE user_id = $1`,
      disabled: `UPDATE app_users SET disabled_at = now() WHERE id = $1`,
    })) {
      const owner = await tenant.player(name);
      const code = await codeOf(owner);
      await world.db.query(sql, [owner.id]);
      const { status, body } = await world.claim(grace, code);
      answers.push({ status, error: { ...body.error, request_id: 'any' } });
    }
    const { status, body } = await world.claim(grace, 'NEVERWAS');
    const never = { status, error: { ...body.error, request_id: 'any' } };
    expect(answers).toEqual([never, never, never]);
    expect(status).toBe(404);
    await world.signOutTheDisabled();
  });

  it("refuses one's own code: 400 SELF_REFERRAL", async () => {
    const { body } = await world.claim(ada, await codeOf(ada)).expect(400);
    expect(body.error.code).toBe('SELF_REFERRAL');
  });

  it('refuses the same code twice with the existing claim in the details, also when it is full by now', async () => {
    await tenant.code({ code: 'ONCE', rewardReferee: { gems: 5 }, maxUses: 1 });
    const won = await world.claim(grace, 'ONCE').expect(201);
    const again = await world.claim(grace, 'once').expect(400);
    expect(again.body.error.code).toBe('ALREADY_CLAIMED');
    expect(again.body.error.details).toEqual({ claim: won.body.data });
    expect((await world.claim(ada, 'ONCE').expect(400)).body.error.code).toBe('MAX_USES_REACHED');
    expect(await world.balance(grace, 'gems')).toBe(5);
  });

  it('lets one user claim several codes, unless the project sets a limit', async () => {
    for (const code of ['ONE', 'TWO', 'THREE']) await tenant.code({ code });
    await world.claim(grace, 'ONE').expect(201);
    await world.claim(grace, 'TWO').expect(201);
    await world.db.query(`UPDATE projects SET max_claims_per_user = 2 WHERE id = $1`, [tenant.id]);
    expect((await world.claim(grace, 'THREE').expect(400)).body.error.code).toBe('CLAIM_LIMIT_REACHED');
    expect((await world.claim(grace, 'TWO').expect(400)).body.error.code).toBe('ALREADY_CLAIMED');
  });

  it('pays only the referee of a promo code', async () => {
    await tenant.code({
      code: 'PROMO',
      rewardReferrer: { gems: 99 },
      rewardReferee: { currency: 'gems', amount: 10 },
    });
    const { body } = await world.claim(grace, 'PROMO').expect(201);
    expect(body.data.referrer_id).toBeNull();
    expect(body.data.rewards).toEqual([
      { currency_code: 'gems', amount: 10, granted: 10, status: 'granted' },
    ]);
    const [{ lines }] = await world.db.query(
      `SELECT count(*) AS lines FROM currency_transactions WHERE project_id = $1`,
      [tenant.id],
    );
    expect(lines).toBe(1);
  });

  it('never finds the code of another project', async () => {
    await (await world.tenant()).code({ code: 'ELSEWHERE' });
    expect((await world.claim(grace, 'ELSEWHERE').expect(404)).body.error.code).toBe('INVALID_CODE');
  });

  it('pays what was promised at the claim, whatever the code says later', async () => {
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 10 } });
    await world.claim(grace, 'PROMO').expect(201);
    await world.db.query(
      `UPDATE referral_codes SET reward_referee = '{"gems": 77}' WHERE code = 'PROMO' AND project_id = $1`,
      [tenant.id],
    );
    await world.claim(ada, 'PROMO').expect(201);
    expect([await world.balance(grace, 'gems'), await world.balance(ada, 'gems')]).toEqual([10, 77]);
  });

  it.each([
    ['a missing code', {}],
    ['an empty code', { code: '' }],
    ['a number', { code: 5 }],
    ['null', { code: null }],
    ['an array', { code: ['A'] }],
    ['an object', { code: { $ne: '' } }],
    ['65 characters', { code: 'A'.repeat(65) }],
    ['a NUL', { code: 'A\u0000' }],
    ['a lone surrogate', { code: '\ud800' }],
    ['an unknown field', { code: 'ADA', referee_id: randomUUID() }],
  ])('refuses %s: 400 INVALID_INPUT with the field', async (_, body) => {
    const response = await world.http
      .post('/client/referrals/claim')
      .set(grace.headers)
      .send(body)
      .expect(400);
    expect(response.body.error).toEqual({
      code: 'INVALID_INPUT',
      message: expect.any(String),
      details: [{ field: 'referee_id' in body ? 'referee_id' : 'code', message: expect.any(String) }],
      request_id: expect.any(String),
    });
  });
});

describe('Idempotency-Key', () => {
  const key = { 'idempotency-key': 'order-1/a' };

  it('answers a retry with the same 201, marked as replayed', async () => {
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 10 } });
    const first = await world.claim(grace, 'PROMO', key).expect(201);
    expect(first.headers['idempotent-replayed']).toBeUndefined();
    await world.db.query(`UPDATE referral_codes SET is_active = false WHERE code = 'PROMO'`);
    const again = await world.claim(grace, 'PROMO', key).expect(201);
    expect(again.body).toEqual(first.body);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(await world.balance(grace, 'gems')).toBe(10);
  });

  it('refuses another body under the same key: 422 IDEMPOTENCY_MISMATCH', async () => {
    await tenant.code({ code: 'ONE' });
    await tenant.code({ code: 'TWO' });
    await world.claim(grace, 'ONE', key).expect(201);
    expect((await world.claim(grace, 'TWO', key).expect(422)).body.error.code).toBe('IDEMPOTENCY_MISMATCH');
    await world.claim(grace, 'TWO', { 'idempotency-key': 'order-2' }).expect(201);
  });

  it('belongs to one user: another one may use the same key', async () => {
    await tenant.code({ code: 'ONE' });
    await world.claim(grace, 'ONE', key).expect(201);
    const { headers } = await world.claim(ada, 'ONE', key).expect(201);
    expect(headers['idempotent-replayed']).toBeUndefined();
  });

  it('remembers nothing of a refused claim', async () => {
    await world.claim(grace, 'LATER', key).expect(404);
    await tenant.code({ code: 'LATER' });
    await world.claim(grace, 'LATER', key).expect(201);
  });

  it.each(['', ' ', 'a b', 'x'.repeat(256), 'é'])('refuses the key %j', async (bad) => {
    const { body } = await world.claim(grace, 'ONE', { 'idempotency-key': bad }).expect(400);
    expect(body.error.details).toEqual([
      { field: 'Idempotency-Key', message: 'must be 1 to 255 visible ASCII characters' },
    ]);
  });
});
