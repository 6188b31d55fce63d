import { Body, Controller, Get, Post } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { ClientAddress, CurrentCaller } from '../auth/authenticated-request';
import { GuessLimiter } from '../auth/guess-limiter.service';
import { ClientRoute } from '../auth/route.decorators';
import type { Caller } from '../auth/sessions.service';
import { ApiData } from '../common/api-docs';
import { ApiIdempotencyKey, IdempotencyKey } from '../common/idempotency-key';
import { Reply } from '../common/reply';
import { CLAIM_ERRORS } from './claim-rules';
import { ClaimsMetrics } from './claims.metrics';
import { ReferralCodesService, toReferralCodeJson } from './referral-codes.service';
import { ClaimDto, ClaimRequestDto, ReferralCodeDto } from './referrals.dto';
import { ReferralsService, toClaimJson } from './referrals.service';

@ApiTags('Referrals')
@Controller('client/referrals')
export class ReferralsController {
  constructor(
    private readonly codes: ReferralCodesService,
    private readonly referrals: ReferralsService,
    private readonly guesses: GuessLimiter,
    private readonly metrics: ClaimsMetrics,
  ) {}

  @Get('my-code')
  @ClientRoute('RETRY_EXHAUSTED', 'CREATE_FAILED')
  @ApiOperation({
    summary: "The caller's referral code",
    description:
      "Made on first read (201) with the rewards of the project's oldest active template; then the same (200).",
  })
  @ApiData(ReferralCodeDto, { status: 200, description: 'The code.' })
  @ApiData(ReferralCodeDto, { status: 201, description: 'The code, made by this request.' })
  async getMyCode(@CurrentCaller() caller: Caller) {
    const { code, created } = await this.codes.ownCode(caller);
    return new Reply(toReferralCodeJson(code), { status: created ? 201 : 200 });
  }

  @Post('claim')
  @ClientRoute(...CLAIM_ERRORS)
  @ApiOperation({
    summary: 'Claim a referral code',
    description:
      'Both sides are rewarded, each up to the maximum of the currency. A retry never claims twice: it hears ' +
      '`ALREADY_CLAIMED` with the existing claim in `details.claim`, or, with the same `Idempotency-Key`, the 201 again.',
  })
  @ApiIdempotencyKey(
    'The same key and body get the same 201, marked `Idempotent-Replayed: true`; a refused claim leaves the key unused.',
  )
  @ApiData(ClaimDto, {
    status: 201,
    description: 'The claim, with the rewards of the caller.',
    headers: {
      'Idempotent-Replayed': '`true` when an earlier request with the same Idempotency-Key made this claim.',
    },
  })
  async claimCode(
    @CurrentCaller() caller: Caller,
    @ClientAddress() address: string,
    @Body() { code }: ClaimRequestDto,
    @IdempotencyKey() idempotencyKey?: string,
  ) {
    const guess = { wrong: 'INVALID_CODE', subject: caller.userId, address } as const;
    const { claim, rewards, replayed } = await this.metrics.count(() =>
      this.guesses.limit(guess, () => this.referrals.claim(caller, code, idempotencyKey)),
    );
    return new Reply(
      toClaimJson(claim, rewards),
      replayed ? { headers: { 'Idempotent-Replayed': 'true' } } : {},
    );
  }
}
