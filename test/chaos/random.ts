import { createHash } from 'node:crypto';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** A stream of choices that is the same for the same seed and path, whatever other streams were used for. */
export class Random {
  private readonly generator;

  constructor(seed: number, ...path: (string | number)[]) {
    const digest = createHash('sha256')
      .update([seed, ...path].join('/'))
      .digest();
    this.generator = xoroshiro128plus(digest.readInt32BE(0));
  }

  /** Both ends included. */
  int(from: number, to: number): number {
    return uniformInt(this.generator, from, to);
  }

  chance(percent: number): boolean {
    return this.int(1, 100) <= percent;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(0, list.length - 1)] as T;
  }

  shuffled<T>(list: readonly T[]): T[] {
    const rest = [...list];
    return list.map(() => rest.splice(this.int(0, rest.length - 1), 1)[0] as T);
  }
}
