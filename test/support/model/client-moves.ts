import fc from 'fast-check';
import { CURRENCIES, USERS } from './bank';
import type { Move } from './command';
import type { Claim, ClaimRequest, CodeName, Model, Typing } from './model';

export const user = fc.constantFrom(...USERS);
export const currency = fc.constantFrom(...CURRENCIES);
export const code: fc.Arbitrary<CodeName> = fc.constantFrom(...USERS, 'TEMPLATE', 'PROMO');
const typing = fc.oneof(
  { weight: 8, arbitrary: fc.constant<Typing>('as it is') },
  { weight: 1, arbitrary: fc.constantFrom<Typing>('lower case', 'spaced') },
);
/** Few, so that they meet again. */
export const anyKey = fc.constantFrom('key-1', 'key-2');
export const key = fc.option(anyKey, { nil: undefined, freq: 2 });

export const withKey = (key: string | undefined): Record<string, string> =>
  key === undefined ? {} : { 'idempotency-key': key };
export const keyLabel = (key: string | undefined) => (key === undefined ? '' : ` with ${key}`);

/** Two of them begin with a code. */
export const myCode: fc.Arbitrary<Move> = fc.constantFrom(...USERS, 'cleo', 'dan').map((name) => ({
  kind: 'my-code',
  label: `${name} reads my-code`,
  send: (stage) => stage.client(name, 'get', 'referrals/my-code'),
  predict: (model) => model.myCode(name),
}));

const claimOf = (request: ClaimRequest): Omit<Move, 'label'> => ({
  kind: 'claim',
  pays: true,
  send: (stage) =>
    stage
      .client(request.user, 'post', 'referrals/claim')
      .set(withKey(request.key))
      .send({ code: stage.spelling(request.code, request.typing) }),
  predict: (model) => model.claim(request),
});

export const claim: fc.Arbitrary<Move> = fc.record({ user, code, typing, key }).map((request) => ({
  ...claimOf(request),
  label: `${request.user} claims the code ${request.code}, ${request.typing}${keyLabel(request.key)}`,
  when: (model) => model.codes.has(request.code),
}));

export const claimUnknown: fc.Arbitrary<Move> = fc.record({ user, code, typing, key }).map((request) => ({
  ...claimOf(request),
  label: `${request.user} claims the code ${request.code}, which nobody made${keyLabel(request.key)}`,
  when: (model) => !model.codes.has(request.code),
}));

/** As a client does that lost the answer. */
export const repeatClaim: fc.Arbitrary<Move> = user.map((name) => {
  const newest = (model: Model) => model.claims.findLast(({ request }) => request.user === name);
  const again = (model: Model) => claimOf((newest(model) as Claim).request);
  return {
    kind: 'claim',
    pays: true,
    label: `${name} sends the newest claim again`,
    when: (model) => newest(model) !== undefined,
    send: (stage, model) => again(model).send(stage, model),
    predict: (model, observed) => again(model).predict(model, observed),
  };
});

export const readBalances: fc.Arbitrary<Move> = user.map((name) => ({
  kind: 'balances',
  label: `${name} reads the balances`,
  when: (model) => model.user(name).state === 'active',
  send: (stage) => stage.client(name, 'get', 'currencies'),
  predict: (model) => model.bank.balances(name),
}));

export const readHistory: fc.Arbitrary<Move> = fc.tuple(user, currency).map(([name, which]) => ({
  kind: 'history',
  label: `${name} reads the history of ${which}`,
  when: (model) => model.user(name).state === 'active',
  send: (stage) => stage.client(name, 'get', `currencies/transactions?currency_code=${which}&limit=200`),
  predict: (model) => model.bank.history(name, which),
}));
