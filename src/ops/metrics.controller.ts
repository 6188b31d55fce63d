import { Controller, Get, Inject, Req, StreamableFile } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { createHash, timingSafeEqual } from 'node:crypto';
import { Registry } from 'prom-client';
import { Public } from '../auth/access';
import { ApiError } from '../common/api-error';
import { bearerToken, type RequestWithId } from '../common/request';
import { CONFIG, type Config } from '../config';
import { DatabaseGauges } from '../database/database-gauges';

/** For Prometheus, which shows `METRICS_TOKEN` as its bearer token. Without that setting there is no such page. */
@ApiExcludeController()
@Public()
@Controller('metrics')
export class MetricsController {
  constructor(
    private readonly registry: Registry,
    private readonly database: DatabaseGauges,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Get()
  async getMetrics(@Req() request: RequestWithId): Promise<StreamableFile> {
    const { metricsToken } = this.config;
    if (metricsToken === undefined) throw new ApiError('NOT_FOUND');
    if (!isSame(bearerToken(request) ?? '', metricsToken)) {
      throw new ApiError('INVALID_TOKEN', { message: 'Show METRICS_TOKEN as the bearer token.' });
    }
    await this.database.refresh();
    const text = await this.registry.metrics();
    return new StreamableFile(Buffer.from(text), { type: this.registry.contentType });
  }
}

/** In a time that does not depend on how much of it is right. */
function isSame(given: string, expected: string): boolean {
  return timingSafeEqual(sha256(given), sha256(expected));
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
