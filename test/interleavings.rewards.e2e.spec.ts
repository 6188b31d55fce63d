import { PaymentsService } from '../src/rewards/payments.service';
import { seedGrants } from './support/grants';
import { outcomeOf, usePairs, type Answer } from './support/pairs';
import type { World } from './support/world';

/** Payments, what may run into them, and sessions, in every order of their statements: see interleavings.claims. */
const { world, pairs } = usePairs();

const HOUR_MS = 60 * 60 * 1000;

/** Pays whatever is promised, as the sweeper does when its time has come. */
const sweep = (on: World) => on.app.get(PaymentsService).payDue(new Date(Date.now() + HOUR_MS));

describe('grant and grant', () => {
  // of a new balance there is one row that only one of them inserts: the other runs anew; one that is there is locked
  describe.each([
    ['a new balance', 0],
    ['a balance that is there', 20],
  ])('on %s', (_, before) => {
    const opening = before ? [[before, before]] : [];
    const clamped = 50 - before;
    const lines = [...opening, [100, 100 + before], [clamped, 150]];
    const open = () => before && pairs.grant(pairs.ada, before)(world).expect(201);

    it('by hand twice: one in full, one clamped', () =>
      pairs.expectOutcomes(['left', 'right'], async () => {
        await open();
        return {
          left: pairs.grant(pairs.ada, 100),
          right: pairs.grant(pairs.ada, 100),
          check: async (left, right) => {
            expect(await pairs.ledger(pairs.ada)).toEqual(lines);
            const told = [left, right].map(({ body }) => [body.data.amount, body.data.balance_after]);
            const isLeftFirst = left.body.data.amount === 100;
            expect([...opening, ...(isLeftFirst ? told : told.reverse())]).toEqual(lines);
            return isLeftFirst ? 'left' : 'right';
          },
        };
      }));

    it('of a claim and by hand: one in full, one clamped', () =>
      pairs.expectOutcomes(['claim', 'hand'], async () => {
        await open();
        const { ada, grace } = pairs;
        const { id, code } = await pairs.adasCode();
        return {
          left: (on) => on.claim(grace, code),
          right: pairs.grant(ada, 100),
          check: async (claimed, granted) => {
            pairs.expectHonest(claimed.body.data.rewards, 10);
            expect(await pairs.ledger(ada)).toEqual(lines);
            const [promise] = await pairs.promises(id, 'referrer');
            const { amount } = granted.body.data;
            expect([promise?.granted, amount]).toEqual(amount === 100 ? [clamped, 100] : [100, clamped]);
            return promise?.granted === 100 ? 'claim' : 'hand';
          },
        };
      }));
  });

  it('of a claim and by the sweeper: paid once, by one of them', () =>
    pairs.expectOutcomes(['granted', 'pending'], async () => {
      const { id, code } = await pairs.adasCode();
      return {
        left: (on) => on.claim(pairs.grace, code),
        right: async (on) => {
          await sweep(on);
          return { status: 200, body: {} };
        },
        check: async (claimed) => {
          pairs.expectHonest(claimed.body.data.rewards, 10);
          await pairs.expectClaimed(id, true);
          return claimed.body.data.rewards[0].status;
        },
      };
    }));
});

describe('grant and change of the currency', () => {
  /** Who stands above is known only under the lock on the currency; the trigger behind it cannot tell. */
  const expectAbove = ({ body }: Answer, balance: number) =>
    expect(body.error?.details).toEqual(
      balance > 60 ? { users_above: 1, highest_balance: balance } : undefined,
    );

  it('lower the maximum: refused after the grant, or it clamps the grant', () =>
    pairs.expectOutcomes(['100, 409 MAX_BALANCE_TOO_LOW', '60, 200'], () => ({
      left: pairs.grant(pairs.ada, 100),
      right: pairs.admin('patch', `currencies/${pairs.gems.id}`, { max_balance: 60 }),
      check: async (granted, changed) => {
        const { amount, balance_after } = granted.body.data;
        expect(await pairs.ledger(pairs.ada)).toEqual([[amount, balance_after]]);
        expectAbove(changed, amount);
        return `${amount}, ${outcomeOf(changed)}`;
      },
    })));

  it('lower the maximum: refused after the payment of a claim, or it clamps the payment', () =>
    pairs.expectOutcomes(['100, 409 MAX_BALANCE_TOO_LOW', '60, 200'], async () => {
      const { id, code } = await pairs.adasCode();
      return {
        left: (on) => on.claim(pairs.grace, code),
        right: pairs.admin('patch', `currencies/${pairs.gems.id}`, { max_balance: 60 }),
        check: async (claimed, changed) => {
          pairs.expectHonest(claimed.body.data.rewards, 10);
          // paid at the first try: no order makes a payment fail
          const [promise] = await pairs.promises(id, 'referrer');
          const granted = promise?.granted ?? 0;
          expect(await pairs.ledger(pairs.ada)).toEqual([[granted, granted]]);
          expect(await pairs.ledger(pairs.grace)).toEqual([[10, 10]]);
          expectAbove(changed, granted);
          return `${granted}, ${outcomeOf(changed)}`;
        },
      };
    }));

  it('raise the maximum: the grant is clamped to the old one or to the new one', () =>
    pairs.expectOutcomes(['150', '200'], () => ({
      left: pairs.grant(pairs.ada, 200),
      right: pairs.admin('patch', `currencies/${pairs.gems.id}`, { max_balance: 300 }),
      check: async (granted, changed) => {
        expect(outcomeOf(changed)).toBe('200');
        const { amount, balance_after } = granted.body.data;
        expect(await pairs.ledger(pairs.ada)).toEqual([[amount, balance_after]]);
        return String(amount);
      },
    })));

  it('delete it: a grant by hand comes before it, or finds no currency', () =>
    pairs.expectOutcomes(['201', '404 NOT_FOUND'], () => ({
      left: pairs.grant(pairs.ada, 100),
      right: pairs.admin('delete', `currencies/${pairs.gems.id}`),
      check: async (granted, deleted) => {
        expect(outcomeOf(deleted)).toBe('200');
        expect(await pairs.ledger(pairs.ada)).toEqual(granted.status === 201 ? [[100, 100]] : []);
        return outcomeOf(granted);
      },
    })));

  it('delete it: what a claim promised is paid, now or when the currency is back', () =>
    pairs.expectOutcomes(['granted', 'pending'], async () => {
      const { id, code } = await pairs.adasCode();
      return {
        left: (on) => on.claim(pairs.grace, code),
        right: pairs.admin('delete', `currencies/${pairs.gems.id}`),
        check: async (claimed, deleted) => {
          expect(outcomeOf(deleted)).toBe('200');
          pairs.expectHonest(claimed.body.data.rewards, 10);
          const [toAda] = await pairs.promises(id, 'referrer');
          const [toGrace] = await pairs.promises(id, 'referee');
          expect(toAda?.status).toBe(toGrace?.status);
          expect(await pairs.ledger(pairs.ada)).toEqual(toAda?.status === 'granted' ? [[100, 100]] : []);
          expect(await paidSinceDeleted()).toBe(0);
          await pairs.tenant.currency({ code: pairs.gems.code });
          await sweep(world);
          await pairs.expectClaimed(id, true);
          return toAda?.status ?? '';
        },
      };
    }));
});

/** The lines that were written after the currency was deleted. */
async function paidSinceDeleted(): Promise<number> {
  const [{ count }] = await world.db.query<[{ count: number }]>(
    `SELECT count(*) FROM currency_transactions t JOIN currencies c ON c.project_id = t.project_id AND c.id = t.currency_id
      WHERE c.id = $1 AND t.created_at > c.deleted_at`,
    [pairs.gems.id],
  );
  return count;
}

it('replay and cancel of one promise: paid once or not at all, as was answered', () =>
  pairs.expectOutcomes(['cancelled', 'cancelled, then paid', 'paid, 409 NOT_CANCELLABLE'], async () => {
    const [id] = await seedGrants(world, pairs.tenant, { status: 'dead', currency: pairs.gems.code });
    return {
      left: pairs.admin('post', `reward-grants/${id}/replay`),
      right: pairs.admin('post', `reward-grants/${id}/cancel`, { reason: 'No' }),
      check: async (replayed, cancelled) => {
        const [{ status, lines }] = await world.db.query<[{ status: string; lines: number }]>(
          `SELECT g.status, (SELECT count(*) FROM currency_transactions WHERE reference_id = g.claim_id) AS lines
             FROM reward_grants g WHERE g.id = $1`,
          [id],
        );
        expect(outcomeOf(replayed)).toBe('200');
        expect(['granted 1', 'cancelled 0']).toContain(`${status} ${lines}`);
        if (status === 'cancelled') return 'cancelled';
        return cancelled.status === 200 ? 'cancelled, then paid' : `paid, ${outcomeOf(cancelled)}`;
      },
    };
  }));

describe('refresh and refresh', () => {
  const refresh = (refresh_token: string) => (on: World) =>
    on.auth(pairs.tenant, 'refresh', { refresh_token });
  const signIn = async () => (await world.auth(pairs.tenant, 'anonymous').expect(201)).body.data;

  it('with one token: the same child twice, and one live token', () =>
    pairs.expectOutcomes(['same'], async () => {
      const { refresh_token: parent } = await signIn();
      return {
        left: refresh(parent),
        right: refresh(parent),
        check: async (left, right) => {
          expect([outcomeOf(left), outcomeOf(right)]).toEqual(['200', '200']);
          const child = left.body.data.refresh_token;
          expect(right.body.data.refresh_token).toBe(child);
          expect(await family(child)).toEqual({ live: 1, used: 1, is_revoked: false });
          return 'same';
        },
      };
    }));

  it('with a token and, too late, the one before it: the session ends', () =>
    pairs.expectOutcomes(['200', '401 INVALID_TOKEN'], async () => {
      const { refresh_token: parent } = await signIn();
      const { refresh_token: child } = (await refresh(parent)(world).expect(200)).body.data;
      await world.db.query(
        `UPDATE refresh_tokens SET used_at = used_at - interval '11 s' WHERE digest = sha256($1)`,
        [parent],
      );
      return {
        left: refresh(child),
        right: refresh(parent),
        check: async (left, right) => {
          expect(outcomeOf(right)).toBe('401 INVALID_TOKEN');
          expect(await family(child)).toMatchObject({ is_revoked: true });
          return outcomeOf(left);
        },
      };
    }));

  /** The session of a refresh token, and its tokens. */
  async function family(refreshToken: string) {
    const [found] = await world.db.query<object[]>(
      `SELECT count(*) FILTER (WHERE t.used_at IS NULL) AS live, count(*) FILTER (WHERE t.used_at IS NOT NULL) AS used,
              bool_or(s.revoked_at IS NOT NULL) AS is_revoked
         FROM refresh_tokens t JOIN sessions s ON s.project_id = t.project_id AND s.id = t.session_id
        WHERE t.session_id = (SELECT session_id FROM refresh_tokens WHERE digest = sha256($1))`,
      [refreshToken],
    );
    return found;
  }
});
