import { setTimeout } from 'node:timers/promises';
import { slopeOf } from './statistics.mjs';

const SAMPLE_EVERY_S = 10;
const S_PER_HOUR = 3600;
const NS_PER_S = 1e9;
const MIB = 2 ** 20;

/** What a server holds in the course of a measurement, in MiB, as `memory-probe.cjs` tells it. Begins now. */
export class MemoryLog {
  /** Of a clock that is the same in all processes of a machine. */
  start = process.hrtime.bigint();
  /** Every 10 s, and whenever one is taken. */
  samples = [];
  /** What was in use after each collection of the whole heap: what is really held, without what is garbage. */
  kept = [];

  constructor(server) {
    this.server = server;
  }

  /** One sample now, with the latest of `kept`. */
  async take() {
    const { collected, rss, heapUsed, external } = await this.server.ask({});
    this.kept.push(...collected.map(({ at, heap }) => ({ atS: this.since(BigInt(at)), heap: heap / MIB })));
    const sample = {
      ...{ atS: this.since(process.hrtime.bigint()), rss: rss / MIB, heapUsed: heapUsed / MIB },
      ...{ external: external / MIB, kept: this.kept.at(-1)?.heap },
    };
    this.samples.push(sample);
    return sample;
  }

  /** Samples for so many seconds. */
  async follow(seconds) {
    for (let at = SAMPLE_EVERY_S; at < seconds; at += SAMPLE_EVERY_S) {
      await setTimeout(1000 * SAMPLE_EVERY_S);
      await this.take();
    }
  }

  /** How fast memory grows from then on, in MiB an hour; undefined where there is too little to tell. */
  slopes(fromS) {
    return {
      rss: slope(this.samples, fromS, ({ rss }) => rss),
      kept: slope(this.kept, fromS, ({ heap }) => heap),
    };
  }

  since(moment) {
    return Number(moment - this.start) / NS_PER_S;
  }
}

function slope(values, fromS, of) {
  const points = values.filter(({ atS }) => atS >= fromS).map((value) => [value.atS, of(value)]);
  return points.length < 2 ? undefined : slopeOf(points) * S_PER_HOUR;
}
