import { ArgumentsHost, Catch, ExceptionFilter } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { errorBody } from './api-error';
import { explainFailure } from './failure';
import { type RequestWithId } from './request';

/** Renders every exception, ours or the framework's, as the one error envelope of the contract. */
@Catch()
export class ApiErrorFilter implements ExceptionFilter {
  constructor(private readonly adapterHost: HttpAdapterHost) {}

  catch(exception: unknown, host: ArgumentsHost): void {
    const { httpAdapter } = this.adapterHost;
    const request = host.switchToHttp().getRequest<RequestWithId>();
    const response: unknown = host.switchToHttp().getResponse();
    const error = explainFailure(exception);
    if (error.retryAfterS !== undefined) {
      httpAdapter.setHeader(response, 'Retry-After', String(error.retryAfterS));
    }
    httpAdapter.reply(response, errorBody(error, request.id), error.status);
  }
}
