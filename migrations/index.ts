import { InitialSchema1795300000000 } from './1795300000000-initial-schema';
import { ClientSessions1795310000000 } from './1795310000000-client-sessions';
import { AdminPlane1795320000000 } from './1795320000000-admin-plane';
import { DailyRollups1795330000000 } from './1795330000000-daily-rollups';
import { IntegrityRuns1795340000000 } from './1795340000000-integrity-runs';
import { FasterRewardCheck1795350000000 } from './1795350000000-faster-reward-check';
import { GrowthIndexes1795360000000 } from './1795360000000-growth-indexes';
import { HousekeepingIndexes1795375000000 } from './1795375000000-housekeeping-indexes';
import { DeadRewards1795380000000 } from './1795380000000-dead-rewards';
import { RateLimits1795390000000 } from './1795390000000-rate-limits';

/** Every migration in the order in which it runs. Forward only: a landed migration is never edited. */
export const migrations = [
  InitialSchema1795300000000,
  ClientSessions1795310000000,
  AdminPlane1795320000000,
  DailyRollups1795330000000,
  IntegrityRuns1795340000000,
  FasterRewardCheck1795350000000,
  GrowthIndexes1795360000000,
  HousekeepingIndexes1795375000000,
  DeadRewards1795380000000,
  RateLimits1795390000000,
];
