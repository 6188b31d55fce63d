import fc from 'fast-check';
import * as bank from './bank-moves';
import { USERS } from './bank';
import * as client from './client-moves';
import { Command, type Move } from './command';
import { Model } from './model';
import * as program from './program-moves';

/** How often each is drawn, next to the others. */
const MOVES: [number, fc.Arbitrary<Move>][] = [
  [10, client.myCode],
  [60, client.claim],
  [1, client.claimUnknown],
  [8, client.repeatClaim],
  [1, client.readBalances],
  [3, client.readHistory],
  [16, program.createCode],
  [8, program.changeRewards],
  [14, program.changeMaxUses],
  [12, program.changeIsActive],
  [5, program.deleteCode],
  [1, program.listCodes],
  [6, program.limitClaims],
  [4, program.disable],
  [16, program.enable],
  [4, program.erase],
  [8, program.eraseAgain],
  [8, bank.changeCurrency],
  [8, bank.deleteCurrency],
  [50, bank.bringBackCurrency],
  [1, bank.defineTwice],
  [8, bank.grantByHand],
  [4, bank.repeatGrant],
  [10, bank.sweep],
  [10, bank.sweepForDays],
  [24, bank.replay],
  [16, bank.replayDead],
  [12, bank.cancel],
  [18, bank.replayMany],
  [1, bank.listPromises],
  [1, bank.reconcile],
];

const MAX_COMMANDS = 50;

/** Random sequences; `replayPath` as fast-check printed it. */
export function sequences(replayPath?: string) {
  const move = fc.oneof(...MOVES.map(([weight, arbitrary]) => ({ weight, arbitrary })));
  return fc.commands([move.map((each) => new Command(each))], {
    ...{ maxCommands: MAX_COMMANDS, size: 'max', replayPath },
  });
}

/**
 * What every sequence begins with: a template, two users with codes, maxima that a few rewards fill, and a currency that
 * is gone, so that rewards wait.
 */
export function beginning(): Model {
  const model = new Model();
  for (const user of USERS) model.users.set(user, { state: 'active', keys: new Map() });
  model.bank.currencies.set('gems', { max: 10, initial: 0, deleted: false });
  model.bank.currencies.set('gold', { max: 6, initial: 2, deleted: true });
  model.bank.currencies.set('silver', { max: null, initial: 0, deleted: false });
  const rewards = { reward_referrer: { gems: 4, gold: 3 }, reward_referee: { currency: 'gems', amount: 3 } };
  for (const name of ['TEMPLATE', 'ada', 'ben'] as const) model.addCode(name, { ...rewards, max_uses: null });
  return model;
}
