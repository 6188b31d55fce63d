import { SCALE_CASES } from './scale-cases.mjs';
import { codeOf, FIRST_READER, HOT_OWNER, READERS, SPREAD_CODES } from './crowd.mjs';

/**
 * What is asked. `next` makes a request out of its turn (0, 1, 2 …) and, where a user can do something only once,
 * a user who has not yet: `fresh()`. `status` is the one that every answer to it must have.
 */

const reader = (turn) => FIRST_READER + (turn % READERS);
const read = (path) => (turn) => ({ user: reader(turn), method: 'GET', path, status: 200 });
const claim = (user, code, status) => ({
  ...{ user, method: 'POST', path: '/v1/client/referrals/claim', status },
  body: JSON.stringify({ code }),
});

const claimSpread = (turn, fresh) => claim(fresh(), codeOf(turn % SPREAD_CODES), 201);
const claimHot = (_turn, fresh) => claim(fresh(), codeOf(HOT_OWNER), 201);
const claimRefused = (turn) => claim(reader(turn), 'NOBODY-HAS-IT', 404);
const myCode = read('/v1/client/referrals/my-code');
const firstCode = (turn, fresh) => ({ ...myCode(turn), user: fresh(), status: 201 });
const balances = read('/v1/client/currencies');
const history = read('/v1/client/currencies/transactions?limit=20');

/** Of twenty requests of a day, sixteen read. */
const DAY = [
  ...[myCode, balances, history, claimSpread, balances, myCode, balances, history, myCode, claimRefused],
  ...[balances, myCode, history, balances, firstCode, myCode, balances, claimSpread, history, myCode],
];

/** What a case must reach: the ratio to the floor by adapter, round trips and writing transactions at most. */
const CLAIM_TARGET = { ratio: { express: 0.45, fastify: 0.45 }, trips: 5, writes: 2 };
const READ_TARGET = { ratio: { express: 0.25, fastify: 0.5 } };

/** `spends`: how many users a request uses up. */
export const CASES = {
  'claims-spread': { title: 'claims over 50 codes', next: claimSpread, spends: 1, target: CLAIM_TARGET },
  'claims-hot': { title: 'claims of one hot code', next: claimHot, spends: 1, target: CLAIM_TARGET },
  'my-code': { title: 'my-code, existing', next: myCode, spends: 0, target: READ_TARGET },
  'my-code-first': { title: 'my-code, first', next: firstCode, spends: 1 },
  balances: { title: 'balances', next: balances, spends: 0, target: READ_TARGET },
  history: { title: 'transaction history', next: history, spends: 0 },
  refused: { title: 'refused claim', next: claimRefused, spends: 0 },
  day: { title: 'a mixed day, 80 % reads', next: (turn, fresh) => DAY[turn % 20](turn, fresh), spends: 0.15 },
};

/** Of these or of a project that has grown. */
export const caseOf = (name) => CASES[name] ?? SCALE_CASES[name];
