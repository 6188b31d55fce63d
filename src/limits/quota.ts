import type { ServerResponse } from 'node:http';
import type { LimitName } from '../config';
import type { Standing } from './limiter';
import type { RateLimits } from './rate-limits.service';

/** How busy a whole app is, is nobody's business who has its key: only a refusal tells of this limit. */
const SHARED: LimitName = 'key';

/**
 * What one request takes of the limits that it meets. The answer tells of them in `RateLimit-Policy` and `RateLimit`, as
 * draft-ietf-httpapi-ratelimit-headers-11 writes them.
 */
export class Quota {
  private policies = '';
  private standings = '';

  constructor(
    private readonly limits: RateLimits,
    private readonly response: ServerResponse,
    /** Who is asking, as long as nothing else is known: `networkOf` the client's address. */
    private readonly network: string,
  ) {}

  /**
   * Counts the request against a limit, if there is one of this name.
   *
   * @throws ApiError RATE_LIMITED
   */
  async take(name: LimitName, subject = this.network): Promise<void> {
    const standing = await this.limits.consume(name, subject);
    if (standing === undefined) return;
    if (name !== SHARED || standing.isExceeded) this.tell(name, standing);
    if (standing.isExceeded) throw this.limits.refusal(name, standing);
  }

  private tell(name: LimitName, { remaining, resetS }: Standing): void {
    const { requests, perS } = this.limits.limit(name) as { requests: number; perS: number };
    const separator = this.policies === '' ? '' : ', ';
    this.policies += `${separator}"${name}";q=${requests};w=${perS}`;
    this.standings += `${separator}"${name}";r=${remaining};t=${resetS}`;
    this.response.setHeader('RateLimit-Policy', this.policies);
    this.response.setHeader('RateLimit', this.standings);
  }
}
