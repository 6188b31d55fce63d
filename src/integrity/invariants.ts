import { ANALYTICS_INVARIANTS } from './analytics.invariants';
import { CLAIM_INVARIANTS } from './claims.invariants';
import { IDENTITY_INVARIANTS } from './identity.invariants';
import type { Invariant } from './invariant';
import { LEDGER_INVARIANTS } from './ledger.invariants';
import { REWARD_INVARIANTS } from './rewards.invariants';
import { SCHEMA_INVARIANTS } from './schema.invariants';

/** All of them, in the order of their numbers. A new one joins the list of its theme. */
export const INVARIANTS: readonly Invariant[] = [
  ...CLAIM_INVARIANTS,
  ...REWARD_INVARIANTS,
  ...LEDGER_INVARIANTS,
  ...IDENTITY_INVARIANTS,
  ...SCHEMA_INVARIANTS,
  ...ANALYTICS_INVARIANTS,
].sort((one, other) => one.number - other.number);
