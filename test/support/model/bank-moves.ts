import fc from 'fast-check';
import { ok } from './answer';
import {
  isCancellable,
  isReplayable,
  promiseJson,
  type CurrencyName,
  type CurrencyRules,
  type HandGrant,
  type Promised,
} from './bank';
import { anyKey, currency, key, keyLabel, user, withKey } from './client-moves';
import type { Move } from './command';
import type { Model } from './model';
import type { Paid } from './stage';

const max = fc.option(fc.integer({ min: 1, max: 10 }), { freq: 6 });
/** Sometimes above the maximum. */
const initial = fc.constantFrom(0, 0, 2, 5, 20);
const show = (value: object) => JSON.stringify(value);
const wire = (rules: Partial<CurrencyRules>) => ({ max_balance: rules.max, initial_balance: rules.initial });

export const changeCurrency: fc.Arbitrary<Move> = fc
  .tuple(
    currency,
    fc.oneof({ weight: 3, arbitrary: fc.record({ max }) }, { weight: 1, arbitrary: fc.record({ initial }) }),
  )
  .map(([name, rules]: [CurrencyName, Partial<CurrencyRules>]) => ({
    kind: 'change a currency',
    label: `the developer changes ${name}: ${show(wire(rules))}`,
    send: (stage) => stage.admin('patch', `/currencies/${stage.id(`currency ${name}`)}`).send(wire(rules)),
    predict: (model) => model.bank.change(name, rules),
  }));

export const deleteCurrency: fc.Arbitrary<Move> = currency.map((name) => ({
  kind: 'delete a currency',
  label: `the developer deletes ${name}`,
  send: (stage) => stage.admin('delete', `/currencies/${stage.id(`currency ${name}`)}`),
  predict: (model) => model.bank.delete(name),
}));

const define = fc
  .tuple(currency, fc.record({ max, initial }, { requiredKeys: [] }))
  .map(([name, rules]): Move & { name: CurrencyName } => ({
    name,
    kind: 'define a currency again',
    label: `the developer defines ${name} again: ${show(wire(rules))}`,
    send: (stage) => stage.admin('post', '/currencies').send({ code: name, name, ...wire(rules) }),
    predict: (model) => model.bank.bringBack(name, rules),
  }));

export const bringBackCurrency = define.map((move): Move => ({
  ...move,
  when: ({ bank }) => bank.currency(move.name).deleted,
}));

export const defineTwice = define.map((move): Move => ({
  ...move,
  when: ({ bank }) => !bank.currency(move.name).deleted,
}));

const grantOf = (grant: HandGrant, idempotencyKey?: string): Omit<Move, 'label'> => ({
  kind: 'grant by hand',
  send: (stage) =>
    stage
      .admin('post', '/currencies/grant')
      .set(withKey(idempotencyKey))
      .send({ app_user_id: stage.id(grant.user), currency_code: grant.currency, amount: grant.amount }),
  predict: (model) => {
    const isErased = model.user(grant.user).state === 'erased';
    return model.bank.grantByHand(grant, { key: idempotencyKey, isErased });
  },
});

export const grantByHand: fc.Arbitrary<Move> = fc
  .tuple(fc.record({ user, currency, amount: fc.integer({ min: 1, max: 9 }) }), key)
  .map(([grant, idempotencyKey]) => ({
    ...grantOf(grant, idempotencyKey),
    label: `the developer grants ${grant.user} ${grant.amount} ${grant.currency}${keyLabel(idempotencyKey)}`,
  }));

/** As a server does that lost the answer. */
export const repeatGrant: fc.Arbitrary<Move> = anyKey.map((idempotencyKey) => {
  const again = ({ bank }: Model) => grantOf(bank.grantWith(idempotencyKey) as HandGrant, idempotencyKey);
  return {
    kind: 'grant by hand',
    label: `the developer sends the grant with ${idempotencyKey} again`,
    when: ({ bank }) => bank.grantWith(idempotencyKey) !== undefined,
    send: (stage, model) => again(model).send(stage, model),
    predict: (model, observed) => again(model).predict(model, observed),
  };
});

/** One of the newest promises. */
interface Pick {
  /** How many newer ones are passed over, if there are so many. */
  back: number;
  /** Also one for which it is too late. */
  any: boolean;
}
const pick = fc.record({ back: fc.nat({ max: 3 }), any: fc.nat({ max: 9 }).map((roll) => roll === 0) });

function find({ bank }: Model, { back, any }: Pick, fits: (promise: Promised) => boolean) {
  const promises = bank.promises.filter((promise) => any || fits(promise));
  return promises[Math.max(0, promises.length - 1 - back)];
}

const pickLabel = ({ back, any }: Pick) =>
  `the newest promise ${back === 0 ? '' : `but ${back} `}${any ? 'of all' : 'that can be'}`;

const replayOf = (fits: (promise: Promised) => boolean, what = '') =>
  pick.map((which): Move => ({
    kind: 'replay',
    pays: true,
    label: `the operator replays ${pickLabel(which)}${what}`,
    when: (model) => find(model, which, fits) !== undefined,
    send: async (stage, model) => {
      const id = await stage.promiseId(find(model, which, fits) as Promised);
      return stage.admin('post', `/reward-grants/${id}/replay`).send({});
    },
    predict: (model) => model.bank.replay(find(model, which, fits) as Promised),
  }));
export const replay = replayOf(isReplayable);
export const replayDead = replayOf(({ status }) => status === 'dead', ' and is dead');

export const cancel: fc.Arbitrary<Move> = pick.map((which) => ({
  kind: 'cancel',
  label: `the operator cancels ${pickLabel(which)}`,
  when: (model) => find(model, which, isCancellable) !== undefined,
  send: async (stage, model) => {
    const id = await stage.promiseId(find(model, which, isCancellable) as Promised);
    return stage.admin('post', `/reward-grants/${id}/cancel`).send({ reason: 'fraud' });
  },
  predict: (model) => model.bank.cancel(find(model, which, isCancellable) as Promised, 'fraud'),
}));

/**
 * Many promises that are paid at one time are paid in an order that the contract leaves open, and under a maximum it
 * decides who gets what. The model pays in the order in which the ledger was written, and says what each must get.
 */
function inOrder(promises: Promised[], paid: Paid[]): Promised[] {
  const place = ({ claim, user, currency }: Promised) =>
    paid.findIndex((line) => line.claim === claim && line.user === user && line.currency === currency);
  return [...promises].sort((a, b) => place(a) - place(b));
}

/** In an order of our own: the server's is by time, and many are promised at one time. */
const arrange = (rows: PromiseRow[]) => [...rows].sort((a, b) => (place(a) < place(b) ? -1 : 1));
const place = ({ claim_id, side, currency_code }: PromiseRow) => [claim_id, side, currency_code].join();

type PromiseRow = ReturnType<typeof promiseJson>;

function allPromises({ bank }: Model) {
  return { ...ok(arrange(bank.promises.map(promiseJson))), total: bank.promises.length };
}

export const listPromises: fc.Arbitrary<Move> = fc.constant({
  kind: 'list the promises',
  label: 'the operator lists the promises',
  send: (stage) => stage.promises(),
  arrange,
  predict: allPromises,
});

const sweepTimes = (times: number, label: string): fc.Arbitrary<Move> =>
  fc.constant({
    kind: 'sweep',
    label,
    when: ({ bank }) => bank.promises.some(({ status }) => status === 'pending'),
    send: async (stage) => {
      await stage.sweep(times);
      return stage.promises();
    },
    observe: (stage) => stage.paid(),
    arrange,
    predict: (model, paid: Paid[]) => {
      const waiting = model.bank.promises.filter(({ status }) => status === 'pending');
      for (let time = 0; time < times; time += 1) model.bank.pay(inOrder(waiting, paid));
      return {
        ...allPromises(model),
        also: [...new Set(waiting.map(({ status }) => `pending to ${status}`))],
      };
    },
  });
export const sweep = sweepTimes(1, 'the sweeper tries what is due');
export const sweepForDays = sweepTimes(25, 'the sweeper tries for days');

export const replayMany: fc.Arbitrary<Move> = fc.constantFrom('dead', 'cancelled').map((from) => ({
  kind: 'replay many',
  pays: true,
  label: `the operator replays all that are ${from}`,
  when: ({ bank }) => bank.promises.some(({ status }) => status === from),
  send: (stage) => stage.admin('post', '/reward-grants/replay').send({ status: from }),
  observe: (stage) => stage.paid(),
  predict: (model, paid: Paid[]) => {
    const chosen = model.bank.promises.filter(({ status }) => status === from);
    for (const promise of chosen) model.bank.reopen(promise);
    model.bank.pay(inOrder(chosen, paid));
    return ok({ replayed: chosen.length, refused: [], has_more: false }, [from]);
  },
}));

export const reconcile: fc.Arbitrary<Move> = fc.constant({
  kind: 'reconciliation',
  label: 'the operator reconciles',
  send: (stage) => stage.admin('get', '/reconciliation'),
  predict: ({ bank }) => {
    const count = (status: string) => bank.promises.filter((one) => one.status === status).length;
    return ok({ agrees: true, pending: count('pending'), dead: count('dead') });
  },
});
