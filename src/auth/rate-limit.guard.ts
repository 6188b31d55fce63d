import { CanActivate, ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { LimitName } from '../config';
import type { AuthenticatedRequest } from './authenticated-request';

const RATE_LIMITS = 'rateLimits';

/** Limits how often one network address may call the route, beside what it may call at all. */
export const RateLimited = (...names: LimitName[]) => SetMetadata(RATE_LIMITS, names);

/** First of the guards, so that requests which the others would refuse count too. */
@Injectable()
export class RateLimitGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const names = this.reflector.get<LimitName[] | undefined>(RATE_LIMITS, context.getHandler());
    if (names === undefined) return true;
    const { quota } = context.switchToHttp().getRequest<AuthenticatedRequest>();
    for (const name of names) await quota.take(name);
    return true;
  }
}
