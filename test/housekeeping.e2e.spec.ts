import { Logger } from '@nestjs/common';
import { ageTokens, countOf, removeDue } from './support/housekeeping';
import { onWorld, tally, useWorld, type Tenant, type World } from './support/world';

/** What goes is good for nothing any more, and nothing else goes. Time passes by moving rows back. */

const world = useWorld();

const errors = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
afterEach(() => errors.mockClear());
afterAll(() => errors.mockRestore());

const MINUTE_S = 60;
const DAY_S = 24 * 60 * MINUTE_S;
/** As long as a refresh token lasts, and is kept after that. */
const SESSION_S = (90 + 30) * DAY_S;
const DEVELOPER_SESSION_S = (30 + 30) * DAY_S;
const KEY_S = 30 * DAY_S;
const RUN_S = 90 * DAY_S;

let tenant: Tenant;
beforeEach(async () => {
  tenant = await world.tenant();
});

const query = <Row>(sql: string, values: unknown[] = []): Promise<Row[]> => world.db.query(sql, values);

/** While another transaction holds what `lock` locks. A run that waited for it would fail after 2 s, and say so. */
async function whileLocked(lock: string, work: () => Promise<void>): Promise<void> {
  const other = world.db.createQueryRunner();
  await other.startTransaction();
  try {
    await other.query(lock);
    await work();
  } finally {
    await other.rollbackTransaction();
    await other.release();
  }
}

describe('a session', () => {
  const auth = (path: string, body: object = {}) => world.auth(tenant, path, body);
  const anonymous = async () => (await auth('anonymous').expect(201)).body.data;
  const refresh = async (refresh_token: string) =>
    (await auth('refresh', { refresh_token }).expect(200)).body.data;
  const me = (session_token: string) =>
    world.http
      .get('/v1/client/users/me')
      .set({ 'x-api-key': tenant.clientKey, authorization: `Bearer ${session_token}` });
  const sessionOf = async (user: { id: string }) => {
    const [row] = await query<{ id: string }>('SELECT id FROM sessions WHERE user_id = $1', [user.id]);
    return row?.id;
  };
  const familyOf = (user: { id: string }) =>
    query<{ id: string; parent_id: string | null; used: boolean }>(
      `SELECT t.id, t.parent_id, t.used_at IS NOT NULL AS used
         FROM refresh_tokens t JOIN sessions s ON s.project_id = t.project_id AND s.id = t.session_id
        WHERE s.user_id = $1 ORDER BY t.created_at`,
      [user.id],
    );

  it('goes 30 days after its last refresh token has expired, with all its tokens', async () => {
    const [due, notYet, fresh] = [await anonymous(), await anonymous(), await anonymous()];
    for (const { refresh_token } of [due, notYet]) await refresh(refresh_token);
    await ageTokens(world, [await sessionOf(due.user)], SESSION_S + MINUTE_S);
    await ageTokens(world, [await sessionOf(notYet.user)], SESSION_S - MINUTE_S);
    await removeDue(world);
    expect([await sessionOf(due.user), await familyOf(due.user)]).toEqual([undefined, []]);
    expect([await familyOf(notYet.user), await familyOf(fresh.user)]).toEqual([
      [expect.objectContaining({ used: true }), expect.objectContaining({ used: false })],
      [expect.objectContaining({ used: false })],
    ]);
    const ofTheDue = [
      await auth('refresh', { refresh_token: due.refresh_token }),
      await me(due.session_token),
    ];
    expect(tally(ofTheDue)).toEqual({ '401 INVALID_TOKEN': 2 });
    await me(fresh.session_token).expect(200);
    await refresh(fresh.refresh_token);
  });

  it('that was revoked goes no sooner', async () => {
    const [due, notYet] = [await anonymous(), await anonymous()];
    for (const { refresh_token } of [due, notYet]) await auth('logout', { refresh_token }).expect(200);
    await query(`UPDATE sessions SET revoked_at = now() - interval '100 days' WHERE project_id = $1`, [
      tenant.id,
    ]);
    await ageTokens(world, [await sessionOf(due.user)], SESSION_S + MINUTE_S);
    await ageTokens(world, [await sessionOf(notYet.user)], SESSION_S - MINUTE_S);
    await removeDue(world);
    expect([await sessionOf(due.user), await familyOf(notYet.user)]).toEqual([
      undefined,
      [expect.objectContaining({ used: false })],
    ]);
  });

  it('that goes on loses the tokens that have expired, and still ends when another one is used again', async () => {
    const first = await anonymous();
    const second = await refresh(first.refresh_token);
    const third = await refresh(second.refresh_token);
    const fourth = await refresh(third.refresh_token);
    const [one, two, three, four] = (await familyOf(first.user)).map(({ id }) => id);
    await ageTokens(world, [one, two], SESSION_S + MINUTE_S);
    await ageTokens(world, [three], 89 * DAY_S);
    await removeDue(world);
    expect(await familyOf(first.user)).toEqual([
      { id: three, parent_id: null, used: true },
      { id: four, parent_id: three, used: false },
    ]);
    // as it was when the token was there, and had expired
    expect(tally([await auth('refresh', { refresh_token: second.refresh_token })])).toEqual({
      '401 INVALID_TOKEN': 1,
    });
    await me(fourth.session_token).expect(200);
    expect(
      tally([
        await auth('refresh', { refresh_token: third.refresh_token }),
        await auth('refresh', { refresh_token: fourth.refresh_token }),
        await me(fourth.session_token),
      ]),
    ).toEqual({ '401 INVALID_TOKEN': 3 });
  });

  it('that was refreshed just now answers a retry after a run as before it', async () => {
    const { refresh_token } = await anonymous();
    const answered = await refresh(refresh_token);
    await removeDue(world);
    expect((await refresh(refresh_token)).refresh_token).toBe(answered.refresh_token);
  });

  it('of a disabled user comes back with the user, however long that took', async () => {
    const { session_token, refresh_token, user } = await anonymous();
    const change = (action: string) =>
      world.http.post(`/v1/admin/projects/${tenant.id}/users/${user.id}/${action}`).set(tenant.server);
    await change('disable').expect(200);
    await ageTokens(world, [await sessionOf(user)], 89 * DAY_S);
    await query(
      `WITH u AS (UPDATE app_users SET disabled_at = disabled_at - interval '88 days' WHERE id = $1 RETURNING disabled_at)
       UPDATE sessions SET revoked_at = u.disabled_at FROM u WHERE user_id = $1`,
      [user.id],
    );
    await removeDue(world);
    await change('enable').expect(200);
    await me(session_token).expect(200);
    await refresh(refresh_token);
  });

  it('that is being decided about is left, and goes the next time', async () => {
    const { user } = await anonymous();
    const id = await sessionOf(user);
    await ageTokens(world, [id], SESSION_S + MINUTE_S);
    await whileLocked(`SELECT FROM sessions WHERE id = '${id}' FOR UPDATE`, async () => {
      await removeDue(world);
      expect(await familyOf(user)).toHaveLength(1);
    });
    await removeDue(world);
    expect([await familyOf(user), await sessionOf(user), errors.mock.calls]).toEqual([[], undefined, []]);
  });

  it('lasts as long as its session token, where that is longer', () =>
    onWorld({ sessionTtlS: 200 * DAY_S, refreshTtlS: DAY_S }, async (own) => {
      const of = await own.tenant();
      const [due, notYet] = [await of.player(), await of.player()];
      const sessionIds = async (...players: { id: string }[]) => {
        const rows = await own.db.query('SELECT id FROM sessions WHERE user_id = ANY ($1)', [
          players.map(({ id }) => id),
        ]);
        return rows.map(({ id }: { id: string }) => id);
      };
      const kept = await sessionIds(notYet);
      await ageTokens(own, await sessionIds(due), (200 + 30) * DAY_S + MINUTE_S);
      await ageTokens(own, kept, (200 + 30) * DAY_S - MINUTE_S);
      await removeDue(own);
      expect(await sessionIds(due, notYet)).toEqual(kept);
      await own.http.get('/v1/client/users/me').set(notYet.headers).expect(200);
    }));
});

it("a developer's session goes 30 days after its last refresh token has expired", async () => {
  const { id, email, password } = await world.developer();
  const auth = (path: string, body: object) =>
    world.http.post(`/v1/auth/developer/${path}`).send(body).expect(200);
  const sessions = async () => {
    const rows = await query<{ id: string }>(
      'SELECT id FROM developer_sessions WHERE developer_id = $1 ORDER BY created_at',
      [id],
    );
    return rows.map((row) => row.id);
  };
  for (const isRefreshed of [false, false, true, true]) {
    const { refresh_token } = (await auth('login', { email, password })).body.data;
    if (isRefreshed) await auth('refresh', { refresh_token });
  }
  const [due, notYet, refreshedDue, refreshedNotYet] = await sessions();
  const move = (session: string | undefined, column: string, seconds: number) =>
    query(`UPDATE developer_sessions SET ${column} = now() - make_interval(secs => $2) WHERE id = $1`, [
      ...[session, seconds],
    ]);
  await move(due, 'created_at', DEVELOPER_SESSION_S + MINUTE_S);
  await move(notYet, 'created_at', DEVELOPER_SESSION_S - MINUTE_S);
  await move(refreshedDue, 'created_at', 9 * DEVELOPER_SESSION_S);
  await move(refreshedDue, 'rotated_at', DEVELOPER_SESSION_S + MINUTE_S);
  await move(refreshedNotYet, 'created_at', 9 * DEVELOPER_SESSION_S);
  await move(refreshedNotYet, 'rotated_at', DEVELOPER_SESSION_S - MINUTE_S);
  await removeDue(world);
  expect(await sessions()).toEqual([refreshedNotYet, notYet]);
});

describe('an idempotency key', () => {
  const move = (key: string, seconds: number) =>
    query('UPDATE claim_idempotency_keys SET created_at = now() - make_interval(secs => $2) WHERE key = $1', [
      ...[key, seconds],
    ]);
  const isThere = async (key: string) =>
    (await countOf(world, `claim_idempotency_keys WHERE key = '${key}'`)) > 0;
  const claimsAndPayments = () =>
    query(
      `SELECT to_jsonb(c) AS claim, to_jsonb(g) AS promise, to_jsonb(t) AS line
         FROM referral_claims c
         JOIN reward_grants g ON g.project_id = c.project_id AND g.claim_id = c.id
         JOIN currency_transactions t ON t.project_id = g.project_id AND t.id = g.transaction_id
        WHERE c.project_id = $1 ORDER BY c.id`,
      [tenant.id],
    );

  it('gets the same answer for 30 days; then the claim is still there, and was paid once', async () => {
    await tenant.currency({ code: 'gems' });
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 5 } });
    const [early, late] = [await tenant.player(), await tenant.player()];
    const claim = (key: 'early' | 'late') =>
      world.claim({ early, late }[key], 'PROMO', { 'idempotency-key': key });
    const claimed = (await claim('early').expect(201)).body.data;
    const { id } = (await claim('late').expect(201)).body.data;
    const before = await claimsAndPayments();
    expect(before).toHaveLength(2);
    await move('early', KEY_S - MINUTE_S);
    await move('late', KEY_S + MINUTE_S);
    await removeDue(world);
    const again = await claim('early').expect(201);
    expect([again.body.data, again.headers['idempotent-replayed']]).toEqual([claimed, 'true']);
    const { error } = (await claim('late').expect(400)).body;
    expect(error).toMatchObject({ code: 'ALREADY_CLAIMED', details: { claim: { id } } });
    expect(await claimsAndPayments()).toEqual(before);
    expect([await world.balance(early, 'gems'), await world.balance(late, 'gems')]).toEqual([5, 5]);
  });

  it('that somebody holds is left, and goes the next time', async () => {
    await tenant.code({ code: 'PROMO' });
    await world.claim(await tenant.player(), 'PROMO', { 'idempotency-key': 'held' }).expect(201);
    await move('held', KEY_S + MINUTE_S);
    await whileLocked(`SELECT FROM claim_idempotency_keys WHERE key = 'held' FOR UPDATE`, async () => {
      await removeDue(world);
      expect(await isThere('held')).toBe(true);
    });
    await removeDue(world);
    expect([await isThere('held'), errors.mock.calls]).toEqual([false, []]);
  });
});

describe('the record of a check', () => {
  const insert = (on: World, secondsAgo: number, outcome: 'report' | 'error') =>
    on.db.query(
      `INSERT INTO integrity_runs (due_at, finished_at, ${outcome}) VALUES (now() - make_interval(secs => $1), now(), '[]')`,
      [secondsAgo],
    );
  const kept = (on: World) =>
    on.db.query(
      `SELECT round(extract(epoch FROM now() - due_at) / 60)::int * 60 AS age, report IS NOT NULL AS ok FROM integrity_runs ORDER BY 1`,
    );

  it('goes after 90 days', () =>
    onWorld({}, async (own) => {
      for (const seconds of [RUN_S + MINUTE_S, RUN_S - MINUTE_S, 0]) await insert(own, seconds, 'report');
      await removeDue(own);
      expect(await kept(own)).toEqual([
        { age: 0, ok: true },
        { age: RUN_S - MINUTE_S, ok: true },
      ]);
    }));

  it('stays as long as no later one came to its end: it is told, and decides when the next is due', () =>
    onWorld({}, async (own) => {
      for (const minutes of [4, 3]) await insert(own, RUN_S + minutes * MINUTE_S, 'report');
      await insert(own, RUN_S + 2 * MINUTE_S, 'error');
      await removeDue(own);
      expect(await kept(own)).toEqual([
        { age: RUN_S + 2 * MINUTE_S, ok: false },
        { age: RUN_S + 3 * MINUTE_S, ok: true },
      ]);
    }));
});

it('a count that instances share goes when its window is over', async () => {
  const ms = Date.now();
  await query(`INSERT INTO rate_limits (key, points, expire) VALUES ('over', 1, $1), ('not over', 1, $2)`, [
    ms - 1_000,
    ms + 1_000_000,
  ]);
  await removeDue(world);
  expect(await query(`SELECT key FROM rate_limits`)).toEqual([{ key: 'not over' }]);
  expect(errors).not.toHaveBeenCalled();
});
