import type { ServerResponse } from 'node:http';
import { errorBody, type ApiError } from './api-error';

/** Answers with JSON where no HTTP adapter is involved, with the headers that an adapter would set. */
export function answerJson(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.setHeader('Content-Type', 'application/json; charset=utf-8');
  response.writeHead(status, { 'Content-Length': Buffer.byteLength(text) }).end(text);
}

/** Answers with the error envelope where no HTTP adapter is involved. */
export function answerError(response: ServerResponse, error: ApiError, requestId: string): void {
  if (error.retryAfterS !== undefined) response.setHeader('Retry-After', String(error.retryAfterS));
  answerJson(response, error.status, errorBody(error, requestId));
}
