import {
  CallHandler,
  ExecutionContext,
  HttpStatus,
  Injectable,
  NestInterceptor,
  StreamableFile,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { map, type Observable } from 'rxjs';
import { Page } from './page';
import { Reply } from './reply';

/** Writes `{ data }` around every answer, and `{ data, total, limit, offset }` around a page. */
@Injectable()
export class EnvelopeInterceptor implements NestInterceptor {
  constructor(private readonly adapterHost: HttpAdapterHost) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((result: unknown) => this.wrap(result, context)));
  }

  private wrap(result: unknown, context: ExecutionContext): unknown {
    // a file is sent as it is
    if (result instanceof StreamableFile) return result;
    if (result instanceof Page) {
      const { limit, offset } = result.window;
      return { data: result.data as unknown[], total: result.total, limit, offset };
    }
    if (!(result instanceof Reply)) return { data: result };

    const { httpAdapter } = this.adapterHost;
    const response: unknown = context.switchToHttp().getResponse();
    const { status, headers = {} } = result.options;
    if (status !== undefined) httpAdapter.status(response, status);
    for (const [name, value] of Object.entries(headers)) httpAdapter.setHeader(response, name, value);
    return status === HttpStatus.NOT_MODIFIED ? undefined : { data: result.data as unknown };
  }
}
