import { FIRST_GROWN } from './growth.mjs';

/**
 * What is asked of a project that has grown (`growth.mjs`), each time by or about somebody else of all its users, so that what
 * is read is not always at hand. `reason` says why a case takes longer where there is more.
 */

/** A prime: so far from one user to the next, everybody's turn comes. */
const STRIDE = 7_919;

const somebody = (turn, { users }) => FIRST_GROWN + 1 + ((turn * STRIDE) % (users - 1));
const codeOf = (user) => `GROWN-${user}`;
const read = (path) => (turn, _fresh, crowd) => ({
  ...{ user: somebody(turn, crowd), method: 'GET', path: `/v1/client${path}`, status: 200 },
});
const readLong = (pathOf) => (_turn, _fresh, crowd) => ({
  ...{ user: FIRST_GROWN, method: 'GET', path: `/v1/client${pathOf(crowd)}`, status: 200 },
});
/** Without a user: as the server of the app. */
const list = (pathOf) => (turn, _fresh, crowd) => ({
  ...{ method: 'GET', path: `/v1/admin/projects/${crowd.projectId}${pathOf(crowd, turn)}`, status: 200 },
});
const claim = (turn, fresh, crowd) => ({
  ...{ user: fresh(), method: 'POST', path: '/v1/client/referrals/claim', status: 201 },
  body: JSON.stringify({ code: codeOf(somebody(turn, crowd)) }),
});
const claimHot = (_turn, fresh) => ({
  ...{ user: fresh(), method: 'POST', path: '/v1/client/referrals/claim', status: 201 },
  body: JSON.stringify({ code: codeOf(FIRST_GROWN) }),
});

const TOTAL = 'its exact total is counted';

export const SCALE_CASES = {
  'grown-claim': { title: 'claim, of anybody’s code', next: claim, spends: 1 },
  'grown-claim-hot': { title: 'claim, of the code that a tenth claimed', next: claimHot, spends: 1 },
  'grown-my-code': { title: 'my-code', next: read('/referrals/my-code'), spends: 0 },
  'grown-balances': { title: 'balances', next: read('/currencies'), spends: 0 },
  'grown-history': { title: 'history', next: read('/currencies/transactions?limit=20'), spends: 0 },
  'grown-long-history': {
    ...{ title: 'the longest history, first page', spends: 0 },
    next: readLong(() => '/currencies/transactions?limit=20'),
  },
  'grown-deep-page': {
    ...{ title: 'the longest history, last page', spends: 0 },
    next: readLong(({ lines }) => `/currencies/transactions?limit=20&offset=${lines - 20}`),
    reason: 'the places of the lines before it are passed over in an index',
  },
  'grown-stats': {
    ...{ title: 'stats of the code that a tenth claimed', spends: 0 },
    next: list(({ hotCodeId }) => `/referrals/${hotCodeId}/stats?limit=50`),
  },
  'grown-rewards-of-user': {
    ...{ title: 'rewards of one user', spends: 0 },
    next: list(({ quietUserId }) => `/reward-grants?app_user_id=${quietUserId}`),
  },
  'grown-users': { title: 'list of users', next: list(() => '/users'), spends: 0, reason: TOTAL },
  'grown-codes': { title: 'list of codes', next: list(() => '/referrals'), spends: 0, reason: TOTAL },
  'grown-rewards': { title: 'list of rewards', next: list(() => '/reward-grants'), spends: 0, reason: TOTAL },
  'grown-log': { title: 'audit log', next: list(() => '/audit-log'), spends: 0, reason: TOTAL },
};
