import { Controller, Get } from '@nestjs/common';
import { ApiOperation, ApiProperty, ApiTags } from '@nestjs/swagger';
import { HealthCheckService, TypeOrmHealthIndicator } from '@nestjs/terminus';
import { ApiData, ApiErrors } from '../common/api-docs';
import { ApiError } from '../common/api-error';
import { Public } from '../auth/access';

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
  ) {}

  @Get('live')
  @ApiOperation({ summary: 'Is the process alive?', description: 'Restart it when this does not answer.' })
  @ApiData(HealthDto, { status: 200, description: 'It is.' })
  getLiveness(): HealthDto {
    return { status: 'ok' };
  }

  @Get('ready')
  @ApiOperation({ summary: 'Can requests be served?', description: 'Send it no traffic while it cannot.' })
  @ApiData(HealthDto, { status: 200, description: 'The database answers.' })
  @ApiErrors('SERVICE_UNAVAILABLE')
  async getReadiness(): Promise<HealthDto> {
    try {
      await this.health.check([() => this.database.pingCheck('database', { timeout: PING_TIMEOUT_MS })]);
      return { status: 'ok' };
    } catch (error) {
      throw new ApiError('SERVICE_UNAVAILABLE', { cause: error, retryAfterS: 1 });
    }
  }
}
