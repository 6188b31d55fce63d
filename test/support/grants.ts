import { randomUUID } from 'node:crypto';
import type { Tenant, World } from './world';

interface SeededGrants {
  count?: number;
  status: 'pending' | 'dead' | 'cancelled';
  currency?: string;
  amount?: number;
  lastError?: string;
  /** When the newest was promised; each older one a second before. */
  newest?: string;
}

/** Claims by new users of a new code, each with one promise to the referee that is not paid. Newest first. */
export async function seedGrants(world: World, tenant: Tenant, seed: SeededGrants): Promise<string[]> {
  const { count = 1, status, currency = 'gems', amount = 5, newest = new Date().toISOString() } = seed;
  const lastError = seed.lastError ?? (status === 'pending' ? null : 'seeded');
  const { id: codeId } = await tenant.code({
    code: `S${randomUUID().slice(0, 12)}`,
    rewardReferee: { [currency]: amount },
  });
  await world.db.query(`UPDATE referral_codes SET current_uses = $2 WHERE id = $1`, [codeId, count]);
  const rows = await world.db.query(
    `WITH users AS (
       INSERT INTO app_users (project_id, display_name) SELECT $1, 'Player' FROM generate_series(1, $3::int) RETURNING id
     ), claims AS (
       INSERT INTO referral_claims (project_id, id, referral_code_id, referee_id, reward_referrer, reward_referee)
       SELECT $1, gen_random_uuid(), $2, id, '{}', json_build_object($4::text, $5::bigint) FROM users RETURNING id, referee_id
     ), numbered AS (SELECT *, row_number() OVER () - 1 AS place FROM claims)
     INSERT INTO reward_grants (project_id, claim_id, side, user_id, currency_code, amount, status, attempts, last_error,
                                next_attempt_at, created_at, settled_at)
     SELECT $1, id, 'referee', referee_id, $4, $5, $6, CASE $6 WHEN 'dead' THEN 25 ELSE 0 END, $7, now(),
            $8::timestamptz - place * interval '1 second', CASE WHEN $6 <> 'pending' THEN now() END
       FROM numbered RETURNING id, created_at`,
    [tenant.id, codeId, count, currency, amount, status, lastError, newest],
  );
  return rows
    .sort(
      (a: { created_at: Date }, b: { created_at: Date }) => b.created_at.getTime() - a.created_at.getTime(),
    )
    .map(({ id }: { id: string }) => id);
}

/** The routes on a project's rewards, as its server calls them. */
export function rewardRoutes(world: World, tenant: () => Tenant) {
  const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
  const root = () => `/v1/admin/projects/${tenant().id}`;
  return {
    list: (query: object = {}) =>
      world.http.get(`${root()}/reward-grants`).query(query).set(bearer(tenant().serverKey)),
    get: (path: string, key = tenant().serverKey) => world.http.get(`${root()}/${path}`).set(bearer(key)),
    post: (path: string, body: object = {}, key = tenant().serverKey) =>
      world.http.post(`${root()}/reward-grants/${path}`).set(bearer(key)).send(body),
  };
}

/** Does the work while this PL/pgSQL is run for every ledger line, as in `RAISE EXCEPTION 'not today'`. */
export async function whilePaymentsFail(
  { db }: World,
  body: string,
  work: () => Promise<void>,
): Promise<void> {
  await db.query(`CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; END $$`);
  await db.query(
    `CREATE TRIGGER sabotage BEFORE INSERT ON currency_transactions FOR EACH ROW EXECUTE FUNCTION sabotage()`,
  );
  try {
    await work();
  } finally {
    await db.query(`DROP FUNCTION sabotage CASCADE`);
  }
}
