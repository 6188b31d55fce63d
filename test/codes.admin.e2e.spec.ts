import { randomUUID } from 'node:crypto';
import { tally, useWorld, type Tenant } from './support/world';

const world = useWorld();

let tenant: Tenant;

beforeEach(async () => {
  tenant = await world.tenant();
  await tenant.currency({ code: 'gems' });
});

const codes = (path = '') => `/v1/admin/projects/${tenant.id}/referrals${path}`;
const post = (body: object) => world.http.post(codes()).set(tenant.server).send(body);
const patch = (id: string, body: object) =>
  world.http
    .patch(codes(`/${id}`))
    .set(tenant.server)
    .send(body);
const remove = (id: string) => world.http.delete(codes(`/${id}`)).set(tenant.server);
const list = async (query = '') => (await world.http.get(codes(query)).set(tenant.server).expect(200)).body;
const stats = (id: string, query = '') => world.http.get(codes(`/${id}/stats${query}`)).set(tenant.server);
const make = async (body: object = {}) => (await post(body).expect(201)).body.data;
const actions = async (id: string) => {
  const { body } = await world.http
    .get(`/v1/admin/projects/${tenant.id}/audit-log?target_id=${id}`)
    .set(tenant.server)
    .expect(200);
  return body.data;
};

describe('a code that a developer makes', () => {
  it('has the spelling, rewards and limit that were asked for, and can be claimed', async () => {
    const made = await make({
      code: 'Summer-2027',
      reward_referrer: { currency: 'gems', amount: 50 },
      reward_referee: { gems: 25 },
      max_uses: 10,
    });
    expect(made).toEqual({
      ...{ id: expect.any(String), app_user_id: null, code: 'Summer-2027', current_uses: 0, max_uses: 10 },
      ...{ reward_referrer: { currency: 'gems', amount: 50 }, reward_referee: { gems: 25 }, is_active: true },
      ...{ created_at: expect.any(String), updated_at: expect.any(String) },
    });
    const { body } = await world.claim(await tenant.player(), 'summer 2027').expect(201);
    expect(body.data).toMatchObject({ referral_code_id: made.id, referrer_id: null });
    expect(await actions(made.id)).toMatchObject([{ action: 'code.create', before: null, after: made }]);
  });

  it('is generated when no spelling is given, and may belong to a user', async () => {
    const ada = await tenant.player();
    const made = await make({ app_user_id: ada.id });
    expect(made).toMatchObject({
      app_user_id: ada.id,
      reward_referrer: {},
      reward_referee: {},
      max_uses: null,
    });
    expect(made.code).toMatch(/^[A-HJKMNP-Z2-9]{8}$/);
    expect((await world.myCode(ada).expect(200)).body.data).toEqual(made);
  });

  it.each<[object, string, string]>([
    [{ code: 'ab' }, '400 INVALID_INPUT', 'code'],
    [{ code: 'x'.repeat(33) }, '400 INVALID_INPUT', 'code'],
    [{ code: 'naïve' }, '400 INVALID_INPUT', 'code'],
    [{ code: null }, '400 INVALID_INPUT', 'code'],
    [{ max_uses: 0 }, '400 INVALID_INPUT', 'max_uses'],
    [{ max_uses: 1.5 }, '400 INVALID_INPUT', 'max_uses'],
    [{ max_uses: '5' }, '400 INVALID_INPUT', 'max_uses'],
    [{ max_uses: 2 ** 31 }, '400 INVALID_INPUT', 'max_uses'],
    [{ app_user_id: 'me' }, '400 INVALID_INPUT', 'app_user_id'],
    [{ app_user_id: randomUUID() }, '400 INVALID_INPUT', 'app_user_id'],
    [{ current_uses: 5 }, '400 INVALID_INPUT', 'current_uses'],
    [{ reward_referrer: { gold: 5 } }, '400 INVALID_REWARD', ''],
    [{ reward_referee: { gems: -5 } }, '400 INVALID_REWARD', ''],
    [{ reward_referee: { gems: 1.5 } }, '400 INVALID_REWARD', ''],
    [{ reward_referee: { gems: '5' } }, '400 INVALID_REWARD', ''],
    [{ reward_referee: 'gems' }, '400 INVALID_REWARD', ''],
    [{ reward_referee: [] }, '400 INVALID_REWARD', ''],
    [{ reward_referee: null }, '400 INVALID_REWARD', ''],
  ])('is not made of %j', async (body, outcome, field) => {
    const answer = await post(body);
    expect(tally([answer])).toEqual({ [outcome]: 1 });
    if (field) expect(answer.body.error.details).toEqual([{ field, message: expect.any(String) }]);
    expect((await list()).total).toBe(0);
  });

  it('is refused when its spelling, or its user, has one already; of 20 at once one is made', async () => {
    const ada = await tenant.player();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => post({ code: i % 2 ? 'TWICE' : 'tw-ice' })),
    );
    expect(tally(answers)).toEqual({ '201': 1, '409 CODE_EXISTS': 19 });
    await make({ app_user_id: ada.id });
    expect(tally([await post({ app_user_id: ada.id })])).toEqual({ '409 CODE_EXISTS': 1 });
  });

  it('says RETRY_EXHAUSTED when five generated codes in a row are taken', async () => {
    await world.db.query(
      `CREATE FUNCTION taken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         RAISE unique_violation USING CONSTRAINT = 'referral_codes_canonical_unique'; END $$;
       CREATE TRIGGER taken BEFORE INSERT ON referral_codes FOR EACH ROW EXECUTE FUNCTION taken();`,
    );
    try {
      expect(tally([await post({})])).toEqual({ '500 RETRY_EXHAUSTED': 1 });
    } finally {
      await world.db.query(`DROP TRIGGER taken ON referral_codes; DROP FUNCTION taken();`);
    }
  });
});

describe('the list of codes', () => {
  it('is newest first, in pages, and searched in any spelling', async () => {
    for (const code of ['ONE-1', 'TWO-2', 'THREE-3']) await make({ code });
    const spellings = async (query: string) => {
      const { data, total } = await list(query);
      return [total, ...data.map(({ code }: { code: string }) => code)];
    };
    expect(await spellings('')).toEqual([3, 'THREE-3', 'TWO-2', 'ONE-1']);
    expect(await spellings('?limit=1&offset=1')).toEqual([3, 'TWO-2']);
    expect(await spellings('?search=e%201')).toEqual([1, 'ONE-1']);
    expect(await spellings('?search=hree')).toEqual([1, 'THREE-3']);
    expect(await spellings('?search=%25')).toEqual([0]);
    expect(await spellings('?search=__')).toEqual([0]);
  });

  it('tells users’ own codes from templates', async () => {
    const ada = await tenant.player();
    const own = (await world.myCode(ada).expect(201)).body.data;
    const template = await make({ code: 'PROMO' });
    const ids = async (kind: string) => (await list(`?kind=${kind}`)).data.map((row: any) => row.id);
    expect([await ids('user'), await ids('template')]).toEqual([[own.id], [template.id]]);
    expect(tally([await world.http.get(codes('?kind=other')).set(tenant.server)])).toEqual({
      '400 INVALID_INPUT': 1,
    });
  });
});

describe('the stats of a code', () => {
  it('count all claims and list them, newest first', async () => {
    const ada = await tenant.player();
    const made = await make({ code: 'ADA', app_user_id: ada.id, reward_referrer: { gems: 2 } });
    const claimers = await tenant.players(60);
    for (const claimer of claimers) await world.claim(claimer, 'ADA').expect(201);
    const { body } = await stats(made.id).expect(200);
    expect(body.data).toMatchObject({
      referral_code: { ...made, current_uses: 60, updated_at: expect.any(String) },
    });
    expect(body.data.total_claims).toBe(60);
    expect(body.data.claims.map((row: any) => row.referee_id)).toEqual(
      claimers.map(({ id }) => id).reverse(),
    );
    expect(body.data.claims[0]).toEqual({
      ...{ id: expect.any(String), referrer_id: ada.id, referee_id: claimers[59]?.id },
      ...{ reward_referrer: { gems: 2 }, reward_referee: {}, claimed_at: expect.any(String) },
    });
    const page = (await stats(made.id, '?limit=2&offset=1').expect(200)).body.data;
    expect([page.total_claims, page.claims]).toEqual([60, body.data.claims.slice(1, 3)]);
    expect(tally([await stats(made.id, '?limit=10001')])).toEqual({ '400 INVALID_INPUT': 1 });
  });

  it('are 404 for a code that is not there, and stay for one that is deleted', async () => {
    const made = await make({ code: 'GONE' });
    await world.claim(await tenant.player(), 'GONE').expect(201);
    await remove(made.id).expect(200);
    expect((await stats(made.id).expect(200)).body.data).toMatchObject({
      referral_code: { is_active: false },
      total_claims: 1,
    });
    expect(tally([await stats(randomUUID()), await stats('no-uuid')])).toEqual({ '404 NOT_FOUND': 2 });
  });
});

describe('a change of a code', () => {
  it('counts from the next claim on; earlier claims keep what they were promised', async () => {
    const made = await make({ code: 'PROMO', reward_referee: { gems: 1 } });
    const [early, late] = [await tenant.player(), await tenant.player()];
    await world.claim(early, 'PROMO').expect(201);
    const { body } = await patch(made.id, { reward_referee: { gems: 2 }, max_uses: 2 }).expect(200);
    expect(body.data).toEqual({
      ...made,
      ...{ reward_referee: { gems: 2 }, max_uses: 2, current_uses: 1, updated_at: expect.any(String) },
    });
    await world.claim(late, 'PROMO').expect(201);
    expect([await world.balance(early, 'gems'), await world.balance(late, 'gems')]).toEqual([1, 2]);
    expect(tally([await world.claim(await tenant.player(), 'PROMO')])).toEqual({ '400 MAX_USES_REACHED': 1 });
    await patch(made.id, { max_uses: null }).expect(200);
    await world.claim(await tenant.player(), 'PROMO').expect(201);
    expect(
      (await actions(made.id)).map((line: any) => [line.before?.max_uses, line.after?.max_uses]),
    ).toEqual([
      [2, null],
      [null, 2],
      [undefined, null],
    ]);
  });

  it('can stop it and let it go on', async () => {
    const { id } = await make({ code: 'PAUSE' });
    const player = await tenant.player();
    await patch(id, { is_active: false }).expect(200);
    expect(tally([await world.claim(player, 'PAUSE')])).toEqual({ '404 INVALID_CODE': 1 });
    await patch(id, { is_active: true }).expect(200);
    await world.claim(player, 'PAUSE').expect(201);
  });

  it('refuses a max_uses below the uses there are, by its own check and by the database', async () => {
    const { id } = await make({ code: 'USED' });
    for (const player of await tenant.players(3)) await world.claim(player, 'USED').expect(201);
    const answer = await patch(id, { max_uses: 2 }).expect(409);
    expect(answer.body.error).toMatchObject({ code: 'MAX_USES_TOO_LOW', details: { current_uses: 3 } });
    await patch(id, { max_uses: 3 }).expect(200);
    await expect(
      world.db.query('UPDATE referral_codes SET max_uses = 2 WHERE id = $1', [id]),
    ).rejects.toMatchObject({
      constraint: 'referral_codes_uses_range',
    });
  });

  it('waits its turn among 60 claims: never more uses than max_uses, and the answers say which came first', async () => {
    const { id } = await make({ code: 'RACE' });
    const players = await tenant.players(60);
    const claims = players.map((player) => world.claim(player, 'RACE'));
    const changes = [5, 10, 20, 40].map((max_uses) => patch(id, { max_uses }));
    const [claimed, changed] = [await Promise.all(claims), await Promise.all(changes)];
    const { current_uses: uses, max_uses: limit } = (await stats(id).expect(200)).body.data.referral_code;
    expect(tally(claimed)['201']).toBe(uses);
    for (const answer of changed) expect([200, 409]).toContain(answer.status);
    if (limit !== null) expect(uses).toBeLessThanOrEqual(limit);
  });

  it.each<[object, string]>([
    [{ reward_referrer: { silver: 1 } }, '400 INVALID_REWARD'],
    [{ is_active: 'yes' }, '400 INVALID_INPUT'],
    [{ is_active: null }, '400 INVALID_INPUT'],
    [{ code: 'OTHER' }, '400 INVALID_INPUT'],
    [{ max_uses: -1 }, '400 INVALID_INPUT'],
  ])('refuses %j and leaves it as it was', async (body, outcome) => {
    const made = await make({ code: 'SAME' });
    expect(tally([await patch(made.id, body)])).toEqual({ [outcome]: 1 });
    expect((await list()).data).toEqual([made]);
  });

  it('is 404 for a code that is not there, deleted, or of another project', async () => {
    const gone = await make({ code: 'GONE' });
    await remove(gone.id).expect(200);
    const foreign = await (await world.tenant()).code({ code: 'FOREIGN' });
    for (const id of [gone.id, foreign.id, randomUUID(), 'no-uuid'])
      expect(tally([await patch(id, { is_active: false }), await remove(id)])).toEqual({
        '404 NOT_FOUND': 2,
      });
    const [{ is_active }] = await world.db.query('SELECT is_active FROM referral_codes WHERE id = $1', [
      foreign.id,
    ]);
    expect(is_active).toBe(true);
  });
});

describe('a deleted code', () => {
  it('cannot be claimed, is not listed, keeps its claims, and its spelling stays taken', async () => {
    const { id } = await make({ code: 'GONE', reward_referee: { gems: 1 } });
    const player = await tenant.player();
    await world.claim(player, 'GONE').expect(201);
    expect((await remove(id).expect(200)).body.data).toMatchObject({ id, is_active: false, current_uses: 1 });
    expect(tally([await world.claim(await tenant.player(), 'GONE'), await post({ code: 'GONE' })])).toEqual({
      '404 INVALID_CODE': 1,
      '409 CODE_EXISTS': 1,
    });
    expect((await list()).total).toBe(0);
    expect(await world.balance(player, 'gems')).toBe(1);
  });

  it('was not the template any more when it is gone', async () => {
    const first = await make({ code: 'FIRST', reward_referee: { gems: 1 } });
    await make({ code: 'SECOND', reward_referee: { gems: 2 } });
    await remove(first.id).expect(200);
    const { body } = await world.myCode(await tenant.player()).expect(201);
    expect(body.data.reward_referee).toEqual({ gems: 2 });
  });
});
