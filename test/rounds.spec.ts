import { AsyncLocalStorage } from 'node:async_hooks';
import { Rounds } from '../src/common/rounds';

/** Each round as it was asked for, to be ended by the test. */
let rounds: { items: string[]; asker: string | undefined; end: (failure?: Error) => void }[];
/** What stands for the request that an item comes from. */
const asker = new AsyncLocalStorage<string>();
let queue: Rounds<string, string>;
let now: number;

beforeEach(() => {
  rounds = [];
  now = 0;
  jest.spyOn(performance, 'now').mockImplementation(() => now);
  queue = new Rounds({
    serve: (items) =>
      new Promise((resolve, reject) => {
        const end = (failure?: Error) =>
          failure ? reject(failure) : resolve(items.map((item) => item.toUpperCase()));
        rounds.push({ items, asker: asker.getStore(), end });
      }),
    ...{ max: 3, patienceMs: 1_000 },
  });
});
afterEach(() => jest.restoreAllMocks());

const settle = () => new Promise(setImmediate);
const asked = () => rounds.map(({ items }) => items.join(''));
async function end(round: number, failure?: Error): Promise<void> {
  rounds[round]?.end(failure);
  await settle();
}
const joinAll = (items: string) => Promise.allSettled([...items].map((item) => queue.join('key', item)));
const fulfilled = (value: string) => ({ status: 'fulfilled', value });
const rejected = (message: string) => ({ status: 'rejected', reason: new Error(message) });

it('serves who comes first at once, and then all who came meanwhile, each with its own result', async () => {
  const all = joinAll('abc');
  expect(asked()).toEqual(['a']);
  await end(0);
  expect(asked()).toEqual(['a', 'bc']);
  await end(1);
  expect(await all).toEqual(['A', 'B', 'C'].map(fulfilled));
  const next = joinAll('d');
  expect(asked()).toEqual(['a', 'bc', 'd']);
  await end(2);
  expect(await next).toEqual([fulfilled('D')]);
});

it('serves a round, or one alone, as a part of the request of who is first in it', async () => {
  for (const item of 'abc') void asker.run(`of ${item}`, () => joinAll(item));
  await end(0);
  await end(1, new Error('together'));
  await end(2, new Error('alone'));
  await end(3);
  expect(rounds.map((round) => `${round.items.join('')} ${round.asker}`)).toEqual([
    ...['a of a', 'bc of b', 'b of b', 'c of c'],
  ]);
});

it('takes no more into a round than may be, in their order', async () => {
  void joinAll('abcdefgh');
  for (let round = 0; round < 3; round += 1) await end(round);
  expect(asked()).toEqual(['a', 'bcd', 'efg', 'h']);
});

it('lets nobody wait for another key', async () => {
  const one = queue.join('one', 'a');
  const other = queue.join('other', 'b');
  expect(asked()).toEqual(['a', 'b']);
  await end(1);
  expect(await other).toBe('B');
  await end(0);
  expect(await one).toBe('A');
});

it('serves one by one what failed together, and lets fail what fails alone', async () => {
  const all = joinAll('abcd');
  await end(0);
  await end(1, new Error('together'));
  await end(2);
  await end(3, new Error('alone'));
  await end(4);
  expect(asked()).toEqual(['a', 'bcd', 'b', 'c', 'd']);
  const [a, b, d] = ['A', 'B', 'D'].map(fulfilled);
  expect(await all).toEqual([a, b, rejected('alone'), d]);
});

it('turns away whom nobody waits for any more, and says what took the time', async () => {
  const first = joinAll('abc');
  now = 900;
  const later = joinAll('d');
  await end(0, new Error('late'));
  expect(asked()).toEqual(['a', 'bcd']);
  now = 1_001;
  await end(1, new Error('slow'));
  expect(asked()).toEqual(['a', 'bcd', 'd']);
  const last = joinAll('e');
  now = 2_002;
  await end(2);
  expect(await first).toEqual([rejected('late'), rejected('slow'), rejected('slow')]);
  expect(await later).toEqual([fulfilled('D')]);
  expect(await last).toEqual([rejected('Its turn did not come within 1000 ms')]);
  expect(asked()).toHaveLength(3);
});
