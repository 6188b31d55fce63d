import { Injectable } from '@nestjs/common';
import { Counter, Registry } from 'prom-client';
import { ApiError } from '../common/api-error';
import { CLAIM_ERRORS } from './claim-rules';
import type { ClaimResult } from './referrals.service';

const OUTCOMES = ['claimed', 'repeated', ...CLAIM_ERRORS] as const;

/** What claims come to on this instance, as their callers are told. */
@Injectable()
export class ClaimsMetrics {
  private readonly claims: Counter;

  constructor(registry: Registry) {
    this.claims = new Counter({
      name: 'amba_claims_total',
      help: 'Claims that came past the guards, by outcome: claimed, repeated (with its Idempotency-Key), or the code of the refusal.',
      labelNames: ['outcome'],
      registers: [registry],
    });
    // from the start, so that a rate sees the first one
    for (const outcome of OUTCOMES) this.claims.inc({ outcome }, 0);
  }

  /** Does the work, and counts what it comes to. @throws what the work throws */
  async count(work: () => Promise<ClaimResult>): Promise<ClaimResult> {
    try {
      const result = await work();
      this.claims.inc({ outcome: result.replayed ? 'repeated' : 'claimed' });
      return result;
    } catch (error) {
      this.claims.inc({ outcome: error instanceof ApiError ? error.code : 'INTERNAL_ERROR' });
      throw error;
    }
  }
}
