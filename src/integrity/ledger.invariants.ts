import { inScope, type Invariant } from './invariant';

export const LEDGER_INVARIANTS: Invariant[] = [
  {
    number: 8,
    name: 'no_double_payment',
    description: 'No source was paid twice to one user in one currency.',
    sql: `
      SELECT t.project_id, t.source, t.reference_id, t.user_id, t.currency_id, count(*) AS lines
        FROM currency_transactions t
       WHERE ${inScope('t')} AND t.reference_id IS NOT NULL
       GROUP BY t.project_id, t.source, t.reference_id, t.user_id, t.currency_id HAVING count(*) > 1`,
  },
  {
    number: 9,
    name: 'balance_is_ledger_sum',
    description:
      'A balance is the sum of its ledger lines and the balance_after of the last, and its counters agree with them.',
    sql: `
      SELECT coalesce(b.project_id, l.project_id) AS project_id, coalesce(b.user_id, l.user_id) AS user_id,
             coalesce(b.currency_id, l.currency_id) AS currency_id, b.balance, l.total AS ledger,
             t.balance_after AS last_balance_after, b.last_entry_no, l.lines, b.lifetime_earned, l.earned
        FROM (SELECT b.* FROM balances b WHERE ${inScope('b')}) b
        FULL JOIN (
          SELECT t.project_id, t.user_id, t.currency_id, count(*) AS lines, max(t.entry_no) AS last_entry_no,
                 sum(t.amount) AS total,
                 coalesce(sum(t.amount) FILTER (WHERE t.amount > 0 AND t.source <> 'system'), 0) AS earned
            FROM currency_transactions t WHERE ${inScope('t')} GROUP BY t.project_id, t.user_id, t.currency_id) l
          ON l.project_id = b.project_id AND l.user_id = b.user_id AND l.currency_id = b.currency_id
        LEFT JOIN currency_transactions t ON ${inScope('t')} AND t.project_id = l.project_id
         AND t.user_id = l.user_id AND t.currency_id = l.currency_id AND t.entry_no = l.last_entry_no
       WHERE (b.balance, b.balance, b.last_entry_no, b.last_entry_no, b.lifetime_earned)
             IS DISTINCT FROM (l.total, t.balance_after, l.last_entry_no, l.lines, l.earned)`,
  },
  {
    number: 10,
    name: 'ledger_chain_unbroken',
    description:
      'The lines of a balance are numbered from 1 without a gap, and each begins where the last one ended.',
    sql: `
      SELECT l.project_id, l.id AS transaction_id, l.user_id, l.currency_id, l.entry_no, l.place, l.before, l.previous
        FROM (SELECT t.project_id, t.id, t.user_id, t.currency_id, t.entry_no, t.balance_after - t.amount AS before,
                     lag(t.balance_after, 1, 0::bigint) OVER chain AS previous, row_number() OVER chain AS place
                FROM currency_transactions t WHERE ${inScope('t')}
              WINDOW chain AS (PARTITION BY t.project_id, t.user_id, t.currency_id ORDER BY t.entry_no)) l
       WHERE l.before <> l.previous OR l.entry_no <> l.place`,
  },
  {
    number: 11,
    name: 'balances_in_bounds',
    description:
      "No balance is below 0 or above its currency's maximum, nor was one when a ledger line was written.",
    sql: `
      SELECT b.project_id, b.user_id, b.currency_id, NULL::uuid AS transaction_id, b.balance, c.max_balance
        FROM balances b JOIN currencies c ON c.project_id = b.project_id AND c.id = b.currency_id
       WHERE ${inScope('b')} AND b.balance NOT BETWEEN 0 AND c.max_balance
       UNION ALL
      SELECT t.project_id, t.user_id, t.currency_id, t.id, t.balance_after, t.max_balance FROM currency_transactions t
       WHERE ${inScope('t')} AND t.balance_after NOT BETWEEN 0 AND t.max_balance`,
  },
  {
    number: 12,
    name: 'clamp_exact',
    description:
      'A credit gave as much as fitted below the maximum, never more and never less; a debit took what was asked.',
    sql: `
      SELECT t.project_id, t.id AS transaction_id, t.user_id, t.currency_id, t.requested, t.amount, t.balance_after, t.max_balance
        FROM currency_transactions t
       WHERE ${inScope('t')}
         AND t.amount <> CASE WHEN t.requested < 0 THEN t.requested
               ELSE greatest(0, least(t.requested, t.max_balance - (t.balance_after - t.amount))) END`,
  },
  {
    number: 23,
    name: 'admin_grants_in_ledger',
    description:
      'Every grant by hand has exactly its one ledger line, and no such line is without its grant.',
    sql: `
      SELECT coalesce(g.project_id, t.project_id) AS project_id, g.id AS grant_id, t.id AS transaction_id,
             g.amount, t.requested
        FROM (SELECT g.* FROM admin_grants g WHERE ${inScope('g')}) g
        FULL JOIN (SELECT t.* FROM currency_transactions t WHERE ${inScope('t')} AND t.source = 'admin') t
          ON t.project_id = g.project_id AND t.reference_id = g.id
       WHERE (g.user_id, g.currency_id, g.amount) IS DISTINCT FROM (t.user_id, t.currency_id, t.requested)`,
  },
];
