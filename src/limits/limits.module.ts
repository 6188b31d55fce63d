import { Module } from '@nestjs/common';
import { LimitsMetrics } from './limits.metrics';
import { RateLimits } from './rate-limits.service';
import { Settlement } from './settlement';

/** How much anybody may ask for. */
@Module({ providers: [RateLimits, LimitsMetrics, Settlement], exports: [RateLimits] })
export class LimitsModule {}
