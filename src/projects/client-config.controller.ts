import { Controller, Get, Headers } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiProperty, ApiResponse, ApiTags } from '@nestjs/swagger';
import { createHash } from 'node:crypto';
import { KeyOnlyRoute } from '../auth/route.decorators';
import { Reply } from '../common/reply';

class ConfigDto {
  @ApiProperty({ type: 'object', additionalProperties: true, example: {} })
  data: object;
}

/** What an app may read before anybody has signed in. There is nothing yet that it must know. */
const CLIENT_CONFIG = {};
const ETAG = `"${createHash('sha256').update(JSON.stringify(CLIENT_CONFIG)).digest('base64url')}"`;
/** A browser may keep it, asks each time whether it still holds, and shares it with nobody. */
const HEADERS = { ETag: ETAG, 'Cache-Control': 'private, no-cache' };

@ApiTags('Config')
@Controller('client/config')
export class ClientConfigController {
  @Get()
  @KeyOnlyRoute()
  @ApiOperation({
    summary: "The app's remote configuration",
    description: 'Unchanged since the ETag that is sent: 304.',
  })
  @ApiHeader({ name: 'If-None-Match', required: false, schema: { type: 'string' } })
  @ApiResponse({
    status: 200,
    description: 'The configuration.',
    type: ConfigDto,
    headers: { ETag: { schema: { type: 'string' } } },
  })
  @ApiResponse({ status: 304, description: 'It has not changed.' })
  getConfig(@Headers('If-None-Match') known?: string) {
    const tags = (known ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
    const isKnown = tags.includes(ETAG) || tags.includes('*');
    return new Reply(CLIENT_CONFIG, { status: isKnown ? 304 : 200, headers: HEADERS });
  }
}
