import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { RequestFacts } from './common/request-context';
import { addressOf, type Trust } from './proxies';
import { methodOf, PROBED, routeOf } from './route';

/** One line for each request, when its answer has left or its client has. It holds nothing that a client made up but its ids. */
export class RequestLog {
  constructor(
    private readonly log: Logger,
    private readonly trust: Trust,
  ) {}

  /** Writes the line of this request at its end, with the facts as they are by then. */
  watch(request: IncomingMessage, response: ServerResponse, facts: RequestFacts): void {
    if (!this.log.isLevelEnabled('info')) return;
    const begin = performance.now();
    // by what was asked for: before the database is there no route takes it
    const level = PROBED.test(request.url ?? '') ? 'debug' : 'info';
    // a socket that is closed has none
    const address = addressOf(request, this.trust);
    response.on('close', () => {
      const method = methodOf(request);
      const route = routeOf(request);
      const status = response.writableFinished ? response.statusCode : null;
      const duration_ms = Math.round((performance.now() - begin) * 10) / 10;
      const { request_id, ...known } = facts;
      this.log[level](
        { request_id, method, route, status, duration_ms, address, ...known },
        `${method} ${route} ${status ?? 'cut off'}`,
      );
    });
  }

  /** Writes the line of what could not be read as a request. */
  unreadable(facts: RequestFacts & { status: number; address: string | undefined }): void {
    this.log.info(facts, `unreadable ${facts.status}`);
  }
}
