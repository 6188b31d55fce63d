import { randomUUID } from 'node:crypto';

/**
 * The claim and its payment as statements alone, each prepared once: what remains of the path when everything around it
 * costs nothing. `today` has 19 statements, each a round trip, as the server had when 0007 was decided; `lean` does the same work in 11.
 */
export const SHAPES = { today, lean };

const MAX = Number.MAX_SAFE_INTEGER;
const LOCK_CODE = `SELECT id, user_id, reward_referrer, reward_referee, current_uses, max_uses, is_active, deleted_at
  FROM referral_codes WHERE project_id = $1 AND code_canonical = $2 LIMIT 1 FOR UPDATE`;
const INSERT_CLAIM = `INSERT INTO referral_claims
    (project_id, id, referral_code_id, referrer_id, referee_id, reward_referrer, reward_referee)
  VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING claimed_at`;
const COUNT_USE = `UPDATE referral_codes SET current_uses = current_uses + 1, updated_at = now()
  WHERE project_id = $1 AND id = $2 AND is_active AND (max_uses IS NULL OR current_uses < max_uses)`;
const INSERT_PROMISES = (rows) => `INSERT INTO reward_grants
    (project_id, claim_id, next_attempt_at, side, user_id, currency_code, amount)
  SELECT $1, $2, now() + interval '2 s', side, user_id, currency_code, amount
    FROM json_populate_recordset(NULL::reward_grants, ${rows})`;
const INSERT_BALANCES = `INSERT INTO balances (project_id, user_id, currency_id)
  SELECT DISTINCT $1::uuid, user_id, currency_id FROM unnest($2::uuid[], $3::uuid[]) AS w (user_id, currency_id)
   ORDER BY user_id, currency_id ON CONFLICT DO NOTHING`;
const LOCK_BALANCES = `SELECT user_id, currency_id, balance, lifetime_earned, last_entry_no FROM balances
  WHERE project_id = $1
    AND (user_id, currency_id) IN (SELECT user_id, currency_id FROM unnest($2::uuid[], $3::uuid[]) AS w (user_id, currency_id))
  ORDER BY user_id, currency_id FOR UPDATE`;
const WRITE_BALANCES = `UPDATE balances b
    SET balance = w.balance, lifetime_earned = w.lifetime_earned, last_entry_no = w.last_entry_no, updated_at = now()
   FROM json_populate_recordset(NULL::balances, $2) AS w
  WHERE b.project_id = $1 AND b.user_id = w.user_id AND b.currency_id = w.currency_id`;
const LINE = `id, user_id, currency_id, entry_no, requested, amount, balance_after, max_balance, transaction_type, source, reference_id`;
const WRITE_LINES = (rows) => `INSERT INTO currency_transactions (project_id, ${LINE})
  SELECT $1, ${LINE} FROM json_populate_recordset(NULL::currency_transactions, ${rows})`;
const SETTLE = (rows) => `UPDATE reward_grants g
    SET status = 'granted', granted = r.granted, transaction_id = r.transaction_id, attempts = g.attempts + 1,
        settled_at = clock_timestamp()
   FROM json_populate_recordset(NULL::reward_grants, ${rows}) AS r
  WHERE g.project_id = $1 AND g.id = r.id`;

/** A connection's statements, prepared once each. `naming` is what a transaction says first. */
function on(client, naming) {
  const names = new Map();
  return {
    begin: (project) => client.query(`BEGIN${naming(project)}`),
    commit: () => client.query('COMMIT'),
    run: async (text, values) => {
      if (!names.has(text)) names.set(text, `s${names.size}`);
      return (await client.query({ name: names.get(text), text, values })).rows;
    },
  };
}

export function connectionFor(client, protectedBy) {
  return on(client, protectedBy ? (project) => `; SET LOCAL app.project_id = '${project}'` : () => '');
}

async function today({ begin, commit, run }, { project: { id: project }, claimer: { id: claimer }, code }) {
  const claim = randomUUID();
  await begin(project);
  const [row] = await run(LOCK_CODE, [project, code]);
  await run(`SELECT * FROM projects WHERE id = $1`, [project]);
  await run(
    `SELECT 1 FROM referral_claims WHERE project_id = $1 AND referral_code_id = $2 AND referee_id = $3 LIMIT 1`,
    [...[project, row.id, claimer]],
  );
  await run(`SELECT 1 FROM app_users WHERE project_id = $1 AND id = $2 AND disabled_at IS NULL LIMIT 1`, [
    ...[project, row.user_id],
  ]);
  const rewards = [row.reward_referrer, row.reward_referee].map((reward) => JSON.stringify(reward));
  await run(INSERT_CLAIM, [project, claim, row.id, row.user_id, claimer, ...rewards]);
  await run(COUNT_USE, [project, row.id]);
  await run(INSERT_PROMISES('$3'), [project, claim, promisesOf(row, claimer)]);
  await commit();

  await begin(project);
  const promises = await run(
    `SELECT id, claim_id, user_id, currency_code, amount, attempts FROM reward_grants
      WHERE project_id = $1 AND claim_id = $2 AND status = 'pending' FOR UPDATE SKIP LOCKED`,
    [project, claim],
  );
  const currencies = await run(
    `SELECT id, code, initial_balance, max_balance FROM currencies
      WHERE project_id = $1 AND code = ANY ($2) AND deleted_at IS NULL ORDER BY id FOR SHARE`,
    [project, promises.map(({ currency_code }) => currency_code)],
  );
  const currencyOf = new Map(currencies.map(({ id, code: name }) => [name, id]));
  const due = promises.map((promise) => ({ ...promise, currency_id: currencyOf.get(promise.currency_code) }));
  const { balances, lines, receipts } = await lockAndApply(run, project, due);
  await run(WRITE_BALANCES, [project, balances]);
  await run(WRITE_LINES('$2'), [project, lines]);
  await run(SETTLE('$2'), [project, receipts]);
  await run(
    `SELECT currency_code, amount, granted, status FROM reward_grants
      WHERE project_id = $1 AND claim_id = $2 AND user_id = $3 AND status <> 'cancelled' ORDER BY currency_code`,
    [project, claim, claimer],
  );
  await commit();
}

async function lean({ begin, commit, run }, { project: { id: project }, claimer: { id: claimer }, code }) {
  const claim = randomUUID();
  await begin(project);
  const [row] = await run(LOCK_CODE, [project, code]);
  await run(
    `SELECT p.max_claims_per_user,
            EXISTS (SELECT FROM referral_claims WHERE project_id = $1 AND referral_code_id = $2 AND referee_id = $3),
            EXISTS (SELECT FROM app_users WHERE project_id = $1 AND id = $4 AND disabled_at IS NULL) AS is_owner_active
       FROM projects p WHERE p.id = $1`,
    [project, row.id, claimer, row.user_id],
  );
  const rewards = [row.reward_referrer, row.reward_referee].map((reward) => JSON.stringify(reward));
  await run(
    `WITH claim AS (${INSERT_CLAIM}), counted AS (${COUNT_USE_OF_CODE}), promised AS (${INSERT_PROMISES('$8')}) SELECT * FROM claim`,
    [...[project, claim, row.id, row.user_id, claimer, ...rewards, promisesOf(row, claimer)]],
  );
  await commit();

  await begin(project);
  const due = await run(
    `SELECT g.id, g.claim_id, g.user_id, g.amount, c.id AS currency_id
       FROM reward_grants g JOIN currencies c ON c.project_id = g.project_id AND c.code = g.currency_code
      WHERE g.project_id = $1 AND g.claim_id = $2 AND g.status = 'pending' AND c.deleted_at IS NULL
      ORDER BY c.id FOR UPDATE OF g SKIP LOCKED FOR SHARE OF c`,
    [project, claim],
  );
  const { balances, lines, receipts } = await lockAndApply(run, project, due);
  await run(`WITH moved AS (${WRITE_BALANCES}), lines AS (${WRITE_LINES('$3')}) ${SETTLE('$4')}`, [
    ...[project, balances, lines, receipts],
  ]);
  await commit();
}

const COUNT_USE_OF_CODE = COUNT_USE.replace('$2', '$3');

async function lockAndApply(run, project, due) {
  const pairs = [project, due.map(({ user_id }) => user_id), due.map(({ currency_id }) => currency_id)];
  await run(INSERT_BALANCES, pairs);
  const balances = await run(LOCK_BALANCES, pairs);
  const paid = due.map(({ id, claim_id, user_id, currency_id, amount }) => {
    const balance = balances.find((each) => each.user_id === user_id && each.currency_id === currency_id);
    balance.balance = Number(balance.balance) + Number(amount);
    balance.lifetime_earned = Number(balance.lifetime_earned) + Number(amount);
    balance.last_entry_no = Number(balance.last_entry_no) + 1;
    const transaction = {
      ...{
        id: randomUUID(),
        user_id,
        currency_id,
        entry_no: balance.last_entry_no,
        requested: amount,
        amount,
      },
      ...{ balance_after: balance.balance, max_balance: MAX },
      ...{ transaction_type: 'earn', source: 'referral', reference_id: claim_id },
    };
    return { transaction, receipt: { id, granted: amount, transaction_id: transaction.id } };
  });
  return {
    balances: JSON.stringify(balances),
    lines: JSON.stringify(paid.map(({ transaction }) => transaction)),
    receipts: JSON.stringify(paid.map(({ receipt }) => receipt)),
  };
}

function promisesOf({ user_id, reward_referrer, reward_referee }, claimer) {
  const owed = (side, user, reward) =>
    Object.entries(reward).map(([currency_code, amount]) => ({ side, user_id: user, currency_code, amount }));
  return JSON.stringify([
    ...owed('referrer', user_id, reward_referrer),
    ...owed('referee', claimer, reward_referee),
  ]);
}
