import { randomUUID } from 'node:crypto';
import type { NewCode } from '../../src/referrals/referral-codes.service';
import { everyOrder } from './interleave';
import { openSessions, type Sessions } from './stepped-session';
import { useWorld, type Player, type Tenant, type World } from './world';

/** Long enough for a slow machine; nothing is measured. */
const TIMEOUT_MS = 300_000;

export interface Answer {
  status: number;
  body: { data?: any; error?: { code: string; details?: any } };
}

/** Two requests, each on an instance of its own, and what may come of them. */
export interface Pair {
  left: (on: World) => PromiseLike<Answer>;
  right: (on: World) => PromiseLike<Answer>;
  /** Fails unless this may be; says which of the outcomes it was. */
  check: (left: Answer, right: Answer) => Promise<string>;
}

/** Gives the tests of a file two instances whose statements are stepped, and new people for every order. */
export function usePairs() {
  // before the world, whose database they use, is gone
  afterAll(() => pairs.close());
  const world = useWorld();
  const pairs = new Pairs(world);
  beforeAll(() => pairs.open());
  jest.setTimeout(TIMEOUT_MS);
  return { world, pairs };
}

/** What the pairs are about: one tenant a test, and for every order new people, a new currency and new codes. */
export class Pairs {
  tenant!: Tenant;
  ada!: Player;
  grace!: Player;
  eve!: Player;
  /** At most 150. */
  gems!: { id: string; code: string };
  private sessions!: Sessions;

  constructor(readonly world: World) {}

  async open(): Promise<void> {
    this.sessions = await openSessions(this.world);
  }

  close(): Promise<void> {
    return this.sessions.close();
  }

  /** Expects that these, and no other, outcomes occur over all orders; and that no order is a deadlock. */
  async expectOutcomes(outcomes: string[], pair: () => Promise<Pair> | Pair): Promise<void> {
    const [one, other] = this.sessions.both;
    const started = Date.now();
    await this.newTenant();
    const explorer = { sessions: this.sessions.both, observer: this.world.db };
    const explored = await everyOrder(explorer, async () => {
      await this.newPeople();
      const { left, right, check } = await pair();
      return {
        operations: [() => left(one.world), () => right(other.world)],
        check: async ([a, b]) => {
          const outcome = await check(a, b);
          expect(outcomes).toContain(outcome);
          return outcome;
        },
      };
    });
    const name = expect.getState().currentTestName;
    const { schedules, repeated, deadlocks } = explored;
    process.stderr.write(
      `${name}: ${schedules} orders (and ${repeated} again) in ${Date.now() - started} ms: ${JSON.stringify(explored.outcomes)}\n`,
    );
    expect({ deadlocks, outcomes: Object.keys(explored.outcomes).sort() }).toEqual({
      ...{ deadlocks: 0, outcomes: [...outcomes].sort() },
    });
  }

  /** A code of Ada's: 100 gems for her, 10 for who claims it. */
  adasCode(code: Partial<NewCode> = {}) {
    const rewards = { rewardReferrer: { [this.gems.code]: 100 }, rewardReferee: { [this.gems.code]: 10 } };
    const spelling = `A${randomUUID().slice(0, 12)}`;
    return this.tenant.code({ code: spelling, userId: this.ada.id, ...rewards, ...code });
  }

  admin(method: 'post' | 'patch' | 'delete', path: string, body: object = {}) {
    const { id, server } = this.tenant;
    return (on: World) => on.http[method](`/v1/admin/projects/${id}/${path}`).set(server).send(body);
  }

  grant(player: Player, amount: number) {
    const body = { app_user_id: player.id, currency_code: this.gems.code, amount };
    return this.admin('post', 'currencies/grant', body);
  }

  /** Amount and balance of each line in gems, oldest first, of which the last is the balance. */
  async ledger({ id }: Player): Promise<[number, number][]> {
    const rows = await this.world.db.query<{ amount: number; balance_after: number; balance: number }[]>(
      `SELECT t.amount, t.balance_after, b.balance FROM currency_transactions t
         JOIN balances b USING (project_id, user_id, currency_id)
        WHERE t.project_id = $1 AND t.user_id = $2 AND t.currency_id = $3 ORDER BY t.entry_no`,
      [this.tenant.id, id, this.gems.id],
    );
    expect(rows.at(-1)?.balance_after).toBe(rows[0]?.balance);
    return rows.map(({ amount, balance_after }) => [amount, balance_after]);
  }

  /** The uses of a code: as counted on it, and as there are claims. */
  async uses(codeId: string): Promise<[number, number]> {
    const [row] = await this.world.db.query<[{ counted: number; made: number }]>(
      `SELECT current_uses AS counted, (SELECT count(*) FROM referral_claims WHERE referral_code_id = c.id) AS made
         FROM referral_codes c WHERE id = $1`,
      [codeId],
    );
    return [row.counted, row.made];
  }

  /** What was promised to one side for the claims of a code, in the order of payment. */
  promises(codeId: string, side: 'referrer' | 'referee') {
    return this.world.db.query<{ claim_id: string; status: string; granted: number | null }[]>(
      `SELECT g.claim_id, g.status, g.granted FROM reward_grants g
         JOIN referral_claims c ON c.project_id = g.project_id AND c.id = g.claim_id
         LEFT JOIN currency_transactions t ON t.project_id = g.project_id AND t.id = g.transaction_id
        WHERE c.referral_code_id = $1 AND g.side = $2 ORDER BY t.entry_no`,
      [codeId, side],
    );
  }

  /** Grace's claim of `adasCode` was made and paid to both, or left nothing behind. */
  async expectClaimed(codeId: string, isClaimed: boolean): Promise<void> {
    const count = isClaimed ? 1 : 0;
    expect({
      ...{
        uses: await this.uses(codeId),
        ada: await this.ledger(this.ada),
        grace: await this.ledger(this.grace),
      },
    }).toEqual({
      ...{ uses: [count, count], ada: isClaimed ? [[100, 100]] : [], grace: isClaimed ? [[10, 10]] : [] },
    });
  }

  /**
   * What a claim was answered of its reward in gems: all of it given, or on its way, which it also is where the
   * payment takes longer than a second. What came of it is in the ledger.
   */
  expectHonest(rewards: unknown, amount: number): void {
    const reward = { currency_code: this.gems.code, amount };
    expect([
      [{ ...reward, granted: amount, status: 'granted' }],
      [{ ...reward, granted: 0, status: 'pending' }],
    ]).toContainEqual(rewards);
  }

  private async newTenant(): Promise<void> {
    this.tenant = await this.world.tenant();
    // the first use of a key in a minute is noted: a statement that some orders would have and others not
    await this.world.db.query(
      `UPDATE api_keys SET last_used_at = now() + interval '1 day' WHERE project_id = $1`,
      [this.tenant.id],
    );
  }

  private async newPeople(): Promise<void> {
    const currency = { code: `g${randomUUID().slice(0, 8)}`, maxBalance: 150 };
    const [people, gems] = await Promise.all([this.tenant.players(3), this.tenant.currency(currency)]);
    [this.ada, this.grace, this.eve] = people as [Player, Player, Player];
    this.gems = gems;
  }
}

/** As in `201` and `404 INVALID_CODE`. */
export function outcomeOf({ status, body }: Answer): string {
  return body.error ? `${status} ${body.error.code}` : String(status);
}
