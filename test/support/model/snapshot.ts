import { CURRENCIES, USERS } from './bank';
import type { Model } from './model';
import type { Stage } from './stage';

/** Everything of the app that the model knows of, in one statement. */
const ROWS = `
  SELECT json_build_object(
    'codes', (SELECT json_agg(json_build_array(c.id, c.user_id, c.current_uses, c.max_uses, c.is_active, c.deleted_at IS NOT NULL))
                FROM referral_codes c WHERE c.project_id = $1),
    'claims', (SELECT json_agg(json_build_array(k.id, k.referral_code_id, k.referrer_id, k.referee_id))
                 FROM referral_claims k WHERE k.project_id = $1),
    'balances', (SELECT json_agg(json_build_array(b.user_id, c.code, b.balance, b.lifetime_earned))
                   FROM balances b JOIN currencies c ON c.project_id = b.project_id AND c.id = b.currency_id
                  WHERE b.project_id = $1),
    'promises', (SELECT json_agg(json_build_array(g.claim_id, g.side, g.user_id, g.currency_code, g.amount, g.status, g.granted, g.attempts))
                   FROM reward_grants g WHERE g.project_id = $1),
    'ledger', (SELECT json_agg(json_build_array(t.user_id, c.code, t.entry_no, t.requested, t.amount, t.balance_after, t.source))
                 FROM currency_transactions t JOIN currencies c ON c.project_id = t.project_id AND c.id = t.currency_id
                WHERE t.project_id = $1))`;

type Rows = Record<string, unknown[][] | null>;

/** Fails unless the tables hold exactly what the model holds, and every invariant of the product holds. */
export async function expectTheSame(model: Model, stage: Stage): Promise<void> {
  expect(sorted((await stage.rows(ROWS)) as Rows)).toEqual(sorted(rowsOf(model)));
  expect(await stage.brokenInvariants()).toEqual([]);
}

function rowsOf({ bank, codes, claims }: Model): Rows {
  const pairs = USERS.flatMap((user) => CURRENCIES.map((currency) => ({ user, currency })));
  const moved = pairs.map((pair) => ({ ...pair, lines: bank.linesOf(pair.user, pair.currency) }));
  return {
    codes: [...codes.values()].map((code) => [
      ...[`code ${code.name}`, code.owner, code.uses, code.max_uses, code.active, code.deleted],
    ]),
    claims: claims.map(({ name, request, referrer }) => [
      name,
      `code ${request.code}`,
      referrer,
      request.user,
    ]),
    balances: moved
      .filter(({ lines }) => lines.length > 0)
      .map(({ user, currency }) => [
        ...[user, currency, bank.balance(user, currency), bank.earned(user, currency)],
      ]),
    promises: bank.promises.map(({ claim, side, user, currency, amount, line, ...state }) => [
      ...[claim, side, user, currency, amount, state.status, line?.amount ?? null, state.attempts],
    ]),
    ledger: moved.flatMap(({ user, currency, lines }) =>
      lines.map((line, i) => [
        ...[user, currency, i + 1, line.requested, line.amount, line.balanceAfter, line.source],
      ]),
    ),
  };
}

function sorted(rows: Rows): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(rows).map(([table, each]) => [
      table,
      (each ?? []).map((row) => JSON.stringify(row)).sort(),
    ]),
  );
}
