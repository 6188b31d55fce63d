import pg from 'pg';

/** What `analytics.mjs` measures on, and what it measures against. */

/** A project whose claims are spread over so many days up to now; each pays its referee one gem. */
export async function seed(url, projectId, { codes, claims, days, steepness }) {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  const users = Math.max(codes, 50_000);
  // the rows are made to fit, and the triggers of a million foreign keys are not what is measured
  await client.query(`SET session_replication_role = replica; SELECT setseed(0.5)`);
  await client.query(
    `INSERT INTO currencies (project_id, code, name) VALUES ('${projectId}', 'gems', 'Gems');
     CREATE TEMP TABLE people AS SELECT n, gen_random_uuid() AS id FROM generate_series(0, ${users - 1}) AS n;
     INSERT INTO app_users (project_id, id, display_name) SELECT '${projectId}', id, 'Player' FROM people;
     CREATE TEMP TABLE owned AS SELECT n, id AS user_id, gen_random_uuid() AS id FROM people WHERE n < ${codes};
     CREATE TEMP TABLE used AS
       SELECT floor(${codes} * pow(random(), ${steepness}))::integer AS n, now() - random() * interval '${days} days' AS at
         FROM generate_series(1, ${claims});
     CREATE INDEX ON people (n);
     ANALYZE people; ANALYZE owned; ANALYZE used;
     INSERT INTO referral_codes (project_id, user_id, id, code, created_at)
       SELECT '${projectId}', user_id, id, 'CODE-' || n, now() - interval '${days + 1} days'
         FROM owned;
     INSERT INTO referral_claims (project_id, id, referral_code_id, referrer_id, referee_id, reward_referrer, reward_referee, claimed_at)
       SELECT '${projectId}', gen_random_uuid(), o.id, o.user_id, p.id, '{}', '{"gems":1}', u.at
         FROM (SELECT n, at, row_number() OVER (PARTITION BY n ORDER BY at) AS use FROM used) AS u
         JOIN owned o USING (n) JOIN people p ON p.n = (u.n + u.use) % ${users} ORDER BY u.at;
     INSERT INTO currency_transactions (project_id, user_id, currency_id, entry_no, requested, amount, balance_after,
                                        max_balance, transaction_type, source, reference_id, created_at)
       SELECT k.project_id, k.referee_id, c.id, k.entry, 1, 1, k.entry, c.max_balance, 'earn', 'referral', k.id, k.claimed_at
         FROM (SELECT *, row_number() OVER (PARTITION BY referee_id ORDER BY claimed_at) AS entry
                 FROM referral_claims WHERE project_id = '${projectId}') AS k
         JOIN currencies c ON c.project_id = k.project_id ORDER BY k.claimed_at;
     DROP TABLE people, owned, used`,
  );
  await client.query('SET session_replication_role = origin');
  await client.query('VACUUM ANALYZE');
  return client;
}

/** The same numbers, straight from claims and ledger: what the route would cost without rollups. */
export async function naiveReport(client, projectId, { from, to }) {
  const within = (column) =>
    `project_id = $1 AND ${column} >= $2::date::timestamp AT TIME ZONE 'UTC'
       AND ${column} < ($3::date + 1)::timestamp AT TIME ZONE 'UTC'`;
  const query = async (sql) => (await client.query(sql, [projectId, from, to])).rows;
  const days = await query(
    `SELECT (claimed_at AT TIME ZONE 'UTC')::date AS day, count(*) AS claims, count(DISTINCT referrer_id) AS referrers
       FROM referral_claims WHERE ${within('claimed_at')} GROUP BY 1`,
  );
  const [unique] = await query(
    `SELECT count(DISTINCT referrer_id) AS referrers FROM referral_claims WHERE ${within('claimed_at')}`,
  );
  const top = await query(
    `SELECT referrer_id, count(*) AS claims FROM referral_claims WHERE ${within('claimed_at')}
      GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10`,
  );
  const [rewards] = await query(
    `SELECT coalesce(sum(requested), 0) AS promised FROM currency_transactions
      WHERE source = 'referral' AND ${within('created_at')}`,
  );
  // the share of users whose code was claimed, by the end of the period
  await client.query(
    `SELECT count(DISTINCT referrer_id) FROM referral_claims
      WHERE project_id = $1 AND claimed_at < ($2::date + 1)::timestamp AT TIME ZONE 'UTC'`,
    [projectId, to],
  );
  return {
    claims: days.reduce((sum, day) => sum + Number(day.claims), 0),
    referrers: Number(unique.referrers),
    top: top.map((row) => Number(row.claims)),
    promised: Number(rewards.promised),
  };
}

const ROWS = 20_000;
const ROUNDS = 7;

/** What the new indexes add to inserting a row, in microseconds: the same rows with and without, in turn, undone. */
export async function indexCost(client, projectId) {
  const copies = {
    referral_claims: [
      'referral_claims_by_time',
      `INSERT INTO referral_claims (project_id, id, referral_code_id, referee_id, reward_referrer, reward_referee)
       SELECT project_id, gen_random_uuid(), gen_random_uuid(), referee_id, '{}', '{}'
         FROM referral_claims WHERE project_id = '${projectId}' LIMIT ${ROWS}`,
    ],
    currency_transactions: [
      'currency_transactions_rewards_by_time',
      `INSERT INTO currency_transactions (project_id, user_id, currency_id, entry_no, requested, amount, balance_after,
                                          max_balance, transaction_type, source, reference_id)
       SELECT project_id, user_id, currency_id, entry_no + 1000000, 1, 1, 1, 1, transaction_type, source, gen_random_uuid()
         FROM currency_transactions WHERE project_id = '${projectId}' LIMIT ${ROWS}`,
    ],
    referral_codes: [
      'referral_codes_newest',
      `INSERT INTO referral_codes (project_id, user_id, code)
       SELECT project_id, gen_random_uuid(), 'B-' || code FROM referral_codes
        WHERE project_id = '${projectId}' LIMIT ${ROWS}`,
    ],
  };
  const results = [];
  for (const [table, [index, insert]] of Object.entries(copies)) {
    const times = { with: [], without: [] };
    for (let round = 0; round < 2 * ROUNDS; round += 1) {
      await client.query('BEGIN; SET LOCAL session_replication_role = replica');
      if (round % 2 === 1) await client.query(`DROP INDEX ${index}`);
      const start = performance.now();
      await client.query(insert);
      times[round % 2 === 1 ? 'without' : 'with'].push(((performance.now() - start) * 1000) / ROWS);
      await client.query('ROLLBACK');
    }
    const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
    const without = median(times.without);
    results.push({ table, without, cost: median(times.with) - without });
  }
  return results;
}
