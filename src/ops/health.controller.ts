import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { ApiOperation, ApiProperty, ApiTags } from '@nestjs/swagger';
import { HealthCheckService, TypeOrmHealthIndicator, type HealthIndicatorFunction } from '@nestjs/terminus';
import { ApiData, ApiErrors } from '../common/api-docs';
import { ApiError } from '../common/api-error';
import { Public } from '../auth/access';
import { SchemaHealth } from './schema.health';

const PING_TIMEOUT_MS = 2_000;

export class HealthDto {
  @ApiProperty({ type: String, enum: ['ok'] })
  status: 'ok';
}

@ApiTags('Health')
@Public()
@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly database: TypeOrmHealthIndicator,
    private readonly schema: SchemaHealth,
  ) {}

  @Get('live')
  @ApiOperation({ summary: 'Is the process alive?', description: 'Restart it when this does not answer.' })
  @ApiData(HealthDto, { status: 200, description: 'It is.' })
  getLiveness(): HealthDto {
    return { status: 'ok' };
  }

  @Get('ready')
  @ApiOperation({ summary: 'Can requests be served?', description: 'Send it no traffic while it cannot.' })
  @ApiData(HealthDto, {
    status: 200,
    description: 'The database answers, has the migrations of this version, and its guards are armed.',
  })
  @ApiErrors('SERVICE_UNAVAILABLE')
  async getReadiness(): Promise<HealthDto> {
    await this.assure(
      () => this.database.pingCheck('database', { timeout: PING_TIMEOUT_MS }),
      'The database does not answer. Try again shortly.',
    );
    // only then: what was found while it was away would be kept
    await this.assure(
      () => this.schema.check(),
      'The database lacks migrations or guards of this version. The log of the server names them.',
    );
    return { status: 'ok' };
  }

  private async assure(indicator: HealthIndicatorFunction, message: string): Promise<void> {
    try {
      await this.health.check([indicator]);
    } catch (cause) {
      const found =
        cause instanceof ServiceUnavailableException ? JSON.stringify(cause.getResponse()) : String(cause);
      throw new ApiError('SERVICE_UNAVAILABLE', {
        message,
        cause: new Error(found, { cause }),
        retryAfterS: 1,
      });
    }
  }
}
