import fc from 'fast-check';
import { USERS, type Reward, type UserName } from './bank';
import { code, currency, user } from './client-moves';
import type { Move } from './command';
import type { CodeChanges, CodeName, User } from './model';

const amount = fc.integer({ min: 1, max: 8 });
/** In its three shapes; seldom in gold, which begins deleted. */
export const reward: fc.Arbitrary<Reward> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({}) },
  { weight: 3, arbitrary: fc.record({ currency, amount }, { noNullPrototype: true }) },
  {
    weight: 4,
    arbitrary: fc
      .record({ gems: amount, silver: amount }, { requiredKeys: [], noNullPrototype: true })
      .map((map) => map as Reward),
  },
);
const maxUses = fc.option(fc.constantFrom(1, 1, 1, 2, 3), { freq: 5 });
const show = (value: object) => JSON.stringify(value);

export const createCode: fc.Arbitrary<Move> = fc
  .tuple(
    fc.constantFrom<CodeName>(...USERS, 'PROMO', 'PROMO', 'PROMO', 'PROMO', 'TEMPLATE'),
    fc.record({ reward_referrer: reward, reward_referee: reward, max_uses: maxUses }),
  )
  .map(([name, rules]) => ({
    kind: 'create a code',
    label: `the developer creates the code ${name}: ${show(rules)}`,
    send: (stage, model) => {
      const whose = model.users.has(name as UserName) ? { app_user_id: stage.id(name) } : { code: name };
      return stage.admin('post', '/referrals').send({ ...whose, ...rules });
    },
    predict: (model) => model.createCode(name, rules),
  }));

/** The template more often than others: much hangs on it. */
const someCode = fc.oneof(
  { weight: 3, arbitrary: code },
  { weight: 1, arbitrary: fc.constant<CodeName>('TEMPLATE') },
);
const change = (what: string, changes: fc.Arbitrary<CodeChanges>): fc.Arbitrary<Move> =>
  fc.tuple(someCode, changes).map(([name, change]) => ({
    kind: `change ${what}`,
    label: `the developer changes the code ${name}: ${show(change)}`,
    when: (model) => model.codes.has(name),
    send: (stage) => stage.admin('patch', `/referrals/${stage.id(`code ${name}`)}`).send(change),
    predict: (model) => model.changeCode(name, change),
  }));

const rewards = { reward_referrer: reward, reward_referee: reward };
export const changeRewards = change(
  'rewards',
  fc.record(rewards, { requiredKeys: [], noNullPrototype: true }),
);
export const changeMaxUses = change('max_uses', fc.record({ max_uses: maxUses }));
export const changeIsActive = change('is_active', fc.record({ is_active: fc.boolean() }));

export const deleteCode: fc.Arbitrary<Move> = someCode.map((name) => ({
  kind: 'delete a code',
  label: `the developer deletes the code ${name}`,
  when: (model) => model.codes.has(name),
  send: (stage) => stage.admin('delete', `/referrals/${stage.id(`code ${name}`)}`),
  predict: (model) => model.deleteCode(name),
}));

export const listCodes: fc.Arbitrary<Move> = fc.constant({
  kind: 'list the codes',
  label: 'the developer lists the codes',
  send: (stage) => stage.admin('get', '/referrals'),
  predict: (model) => model.codeList(),
});

export const limitClaims: fc.Arbitrary<Move> = fc
  .option(fc.constantFrom(1, 1, 1, 2), { freq: 3 })
  .map((limit) => ({
    kind: 'limit the claims',
    label: `the developer lets each user claim ${limit ?? 'any number of'} codes`,
    send: (stage) => stage.admin('patch').send({ max_claims_per_user: limit }),
    predict: (model) => model.limitClaims(limit),
  }));

export const disable: fc.Arbitrary<Move> = user.map((name) => ({
  kind: 'disable a user',
  label: `the developer disables ${name}`,
  send: (stage) => stage.admin('post', `/users/${stage.id(name)}/disable`),
  predict: (model) => model.disable(name),
}));

export const enable: fc.Arbitrary<Move> = user.map((name) => ({
  kind: 'enable a user',
  label: `the developer enables ${name}`,
  when: (model) => model.user(name).state !== 'active',
  send: (stage) => stage.admin('post', `/users/${stage.id(name)}/enable`),
  predict: (model) => model.enable(name),
}));

const eraseWhen = (wanted: (state: User['state']) => boolean): fc.Arbitrary<Move> =>
  user.map((name) => ({
    kind: 'erase a user',
    label: `the developer erases ${name}`,
    when: (model) => wanted(model.user(name).state),
    send: (stage) => stage.admin('delete', `/users/${stage.id(name)}`),
    predict: (model) => model.erase(name),
  }));

export const erase = eraseWhen((state) => state !== 'erased');
export const eraseAgain = eraseWhen((state) => state === 'erased');
