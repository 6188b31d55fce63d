import { ConcurrentIndexes } from './concurrent-indexes';

/** Promises that wait for an operator: few, and counted at every scrape of the metrics, whatever there is of others. */
export class DeadRewards1795380000000 extends ConcurrentIndexes {
  protected readonly indexes = {
    reward_grants_dead: "ON reward_grants (settled_at) WHERE status = 'dead'",
  };
}
