import { AsyncResource } from 'node:async_hooks';

interface Entry<Item, Result> {
  item: Item;
  /** What serves a round, as a part of the request that this item comes from. */
  serve: Rules<Item, Result>['serve'];
  /** Of `performance.now()`. */
  since: number;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

interface Rules<Item, Result> {
  /** Gives a result for each item, in their order, or fails for all of them, which are then served one by one. */
  serve: (items: [Item, ...Item[]]) => Promise<Result[]>;
  /** Items of one round. */
  max: number;
  /** Who has waited longer than this is turned away, in ms: nobody waits for the result any more. */
  patienceMs: number;
}

/**
 * Work that costs little more for many than for one, as a group commit does. Who comes first is served at once; who
 * comes while that is under way waits for its end, and is served together with all others who came meanwhile.
 */
export class Rounds<Item, Result> {
  /** By key those who wait for the next round. A key is here as long as a round is under way. */
  private readonly queues = new Map<string, Entry<Item, Result>[]>();

  constructor(private readonly rules: Rules<Item, Result>) {}

  /**
   * @param key only those with the same one share a round, and wait for each other
   * @throws what it failed with, alone or in a round after which there was no time left; an Error when its turn did not come
   *   in time
   */
  join(key: string, item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      const serve = AsyncResource.bind(this.rules.serve);
      const entry = { item, serve, since: performance.now(), resolve, reject };
      const queue = this.queues.get(key);
      if (queue) queue.push(entry);
      else void this.begin(key, [entry]);
    });
  }

  private async begin(key: string, queue: Entry<Item, Result>[]): Promise<void> {
    this.queues.set(key, queue);
    while (queue.length > 0) await this.serve(queue.splice(0, this.rules.max));
    this.queues.delete(key);
  }

  /** @param failure what a round of them failed with before */
  private async serve(entries: Entry<Item, Result>[], failure?: unknown): Promise<void> {
    const [first, ...others] = entries.filter((entry) => this.isInTime(entry, failure));
    if (first === undefined) return;
    const round = [first, ...others];
    try {
      const results = await first.serve([first.item, ...others.map(({ item }) => item)]);
      round.forEach(({ resolve }, i) => resolve(results[i] as Result));
    } catch (error) {
      if (others.length === 0) first.reject(error);
      else for (const entry of round) await this.serve([entry], error);
    }
  }

  private isInTime({ since, reject }: Entry<Item, Result>, failure: unknown): boolean {
    const { patienceMs } = this.rules;
    const isInTime = performance.now() - since <= patienceMs;
    if (!isInTime) reject(failure ?? new Error(`Its turn did not come within ${patienceMs} ms`));
    return isInTime;
  }
}
