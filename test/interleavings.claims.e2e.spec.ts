import { outcomeOf, usePairs } from './support/pairs';
import type { Player, World } from './support/world';

/**
 * Claims, and what may run into them, in every order of their statements. Whatever the order, what is answered and what
 * is left is one of the outcomes that are named here, and each of these does occur.
 */
const { pairs, world } = usePairs();

const claim = (player: Player, code: string) => (on: World) => on.claim(player, code);

describe('claim and claim', () => {
  it('of one user: one wins, the other hears of that claim', () =>
    pairs.expectOutcomes(['left', 'right'], async () => {
      const { id, code } = await pairs.adasCode();
      return {
        left: claim(pairs.grace, code),
        right: claim(pairs.grace, code),
        check: async (left, right) => {
          const [won, lost] = left.status === 201 ? [left, right] : [right, left];
          expect([outcomeOf(won), outcomeOf(lost)]).toEqual(['201', '400 ALREADY_CLAIMED']);
          const existing = lost.body.error?.details.claim;
          const { rewards } = won.body.data;
          expect(won.body.data).toEqual({ ...existing, rewards });
          for (const told of [rewards, existing.rewards]) pairs.expectHonest(told, 10);
          await pairs.expectClaimed(id, true);
          return won === left ? 'left' : 'right';
        },
      };
    }));

  it('of two users on the last use: one wins, the other is too late', () =>
    pairs.expectOutcomes(['left', 'right'], async () => {
      const { ada, grace, eve } = pairs;
      const { id, code } = await pairs.adasCode({ maxUses: 1 });
      return {
        left: claim(grace, code),
        right: claim(eve, code),
        check: async (left, right) => {
          const [won, lost] = left.status === 201 ? [left, right] : [right, left];
          const [winner, loser] = won === left ? [grace, eve] : [eve, grace];
          expect([outcomeOf(won), outcomeOf(lost)]).toEqual(['201', '400 MAX_USES_REACHED']);
          expect(await pairs.uses(id)).toEqual([1, 1]);
          expect(await pairs.ledger(ada)).toEqual([[100, 100]]);
          expect(await pairs.ledger(winner)).toEqual([[10, 10]]);
          expect(await pairs.ledger(loser)).toEqual([]);
          return won === left ? 'left' : 'right';
        },
      };
    }));

  it('of two users: both, and of one referrer one reward in full, one clamped', () =>
    pairs.expectOutcomes(['left', 'right'], async () => {
      const { ada, grace, eve } = pairs;
      // two that make her first balance are in the interleavings of grants
      await pairs.grant(ada, 20)(world).expect(201);
      const { id, code } = await pairs.adasCode();
      return {
        left: claim(grace, code),
        right: claim(eve, code),
        check: async (left, right) => {
          expect([outcomeOf(left), outcomeOf(right)]).toEqual(['201', '201']);
          for (const { body } of [left, right]) pairs.expectHonest(body.data.rewards, 10);
          expect(await pairs.uses(id)).toEqual([2, 2]);
          expect(await pairs.ledger(ada)).toEqual([
            [20, 20],
            [100, 120],
            [30, 150],
          ]);
          for (const player of [grace, eve]) expect(await pairs.ledger(player)).toEqual([[10, 10]]);
          const paid = await pairs.promises(id, 'referrer');
          expect(paid.map(({ status, granted }) => [status, granted])).toEqual([
            ['granted', 100],
            ['granted', 30],
          ]);
          return paid[0]?.claim_id === left.body.data.id ? 'left' : 'right';
        },
      };
    }));
});

describe('claim and change of the code', () => {
  it('deactivate: the claim comes before it, or finds no code', () =>
    pairs.expectOutcomes(['201', '404 INVALID_CODE'], async () => {
      const { id, code } = await pairs.adasCode();
      return {
        left: claim(pairs.grace, code),
        right: pairs.admin('patch', `referrals/${id}`, { is_active: false }),
        check: async (claimed, changed) => {
          // what the change found says who was first
          const isFirst = changed.body.data.current_uses === 1;
          expect(outcomeOf(claimed)).toBe(isFirst ? '201' : '404 INVALID_CODE');
          await pairs.expectClaimed(id, isFirst);
          return outcomeOf(claimed);
        },
      };
    }));

  it('lower max_uses: one of the two is refused', () =>
    pairs.expectOutcomes(['201, 409 MAX_USES_TOO_LOW', '400 MAX_USES_REACHED, 200'], async () => {
      const { grace, eve } = pairs;
      const { id, code } = await pairs.adasCode({ maxUses: 2, rewardReferrer: {} });
      await claim(eve, code)(pairs.world).expect(201);
      return {
        left: claim(grace, code),
        right: pairs.admin('patch', `referrals/${id}`, { max_uses: 1 }),
        check: async (claimed, changed) => {
          const count = claimed.status === 201 ? 2 : 1;
          expect(await pairs.uses(id)).toEqual([count, count]);
          expect(await pairs.ledger(grace)).toEqual(count === 2 ? [[10, 10]] : []);
          // known only under the lock on the code; the constraint behind it cannot tell
          expect(changed.body.error?.details).toEqual(count === 2 ? { current_uses: 2 } : undefined);
          return `${outcomeOf(claimed)}, ${outcomeOf(changed)}`;
        },
      };
    }));

  it('raise max_uses: the claim comes after it, or is too early', () =>
    pairs.expectOutcomes(['201', '400 MAX_USES_REACHED'], async () => {
      const { grace, eve } = pairs;
      const { id, code } = await pairs.adasCode({ maxUses: 1, rewardReferrer: {} });
      await claim(eve, code)(pairs.world).expect(201);
      return {
        left: claim(grace, code),
        right: pairs.admin('patch', `referrals/${id}`, { max_uses: 2 }),
        check: async (claimed, changed) => {
          expect(changed.body.data).toMatchObject({ max_uses: 2, current_uses: 1 });
          const count = claimed.status === 201 ? 2 : 1;
          expect(await pairs.uses(id)).toEqual([count, count]);
          expect(await pairs.ledger(grace)).toEqual(count === 2 ? [[10, 10]] : []);
          return outcomeOf(claimed);
        },
      };
    }));

  it('other rewards: the claim gives wholly the old ones or wholly the new', () =>
    pairs.expectOutcomes(['new', 'old'], async () => {
      const { ada, grace, gems } = pairs;
      const { id, code } = await pairs.adasCode();
      const rewards = { reward_referrer: { [gems.code]: 50 }, reward_referee: { [gems.code]: 20 } };
      return {
        left: claim(grace, code),
        right: pairs.admin('patch', `referrals/${id}`, rewards),
        check: async (claimed, changed) => {
          const isOld = changed.body.data.current_uses === 1;
          const [toAda, toGrace] = isOld ? [100, 10] : [50, 20];
          expect(await pairs.ledger(ada)).toEqual([[toAda, toAda]]);
          expect(await pairs.ledger(grace)).toEqual([[toGrace, toGrace]]);
          pairs.expectHonest(claimed.body.data.rewards, toGrace);
          return isOld ? 'old' : 'new';
        },
      };
    }));
});

describe('claim and disabling', () => {
  it.each([
    ['the owner of the code', 'ada', '404 INVALID_CODE'],
    ['the claimer', 'grace', '401 INVALID_TOKEN'],
  ] as const)('of %s: the claim is made, or refused as a whole', (_, who, refusal) =>
    pairs.expectOutcomes(['201', refusal], async () => {
      const { id, code } = await pairs.adasCode();
      return {
        left: claim(pairs.grace, code),
        right: pairs.admin('post', `users/${pairs[who].id}/disable`),
        check: async (claimed, disabled) => {
          expect(outcomeOf(disabled)).toBe('200');
          await pairs.expectClaimed(id, claimed.status === 201);
          return outcomeOf(claimed);
        },
      };
    }),
  );
});
