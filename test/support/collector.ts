import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

type Attributes = Record<string, string | number>;

interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  status: { code?: number };
  attributes: Attributes;
}

/** A span with those below it, in the order of their beginnings. */
export type Tree = { [name: string]: Tree };

/** What takes traces as a collector of OpenTelemetry does: OTLP over HTTP, as JSON. */
export class Collector {
  /** All that was sent, as it was sent. */
  received = '';
  readonly spans: Span[] = [];
  resource: Attributes = {};
  private readonly server: Server = createServer((request, response) => {
    void text(request).then((body) => {
      this.take(body);
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });

  /** @returns its endpoint */
  async listen(): Promise<string> {
    await once(this.server.listen(0, '127.0.0.1'), 'listening');
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  /** The spans of a trace, below the one with this id. */
  tree(traceId: string, parent: string): Tree {
    const children = this.spans.filter((span) => span.traceId === traceId && span.parentSpanId === parent);
    return Object.fromEntries(children.map(({ name, spanId }) => [name, this.tree(traceId, spanId)]));
  }

  private take(body: string): void {
    this.received += body;
    for (const { resource, scopeSpans } of JSON.parse(body).resourceSpans) {
      this.resource = valuesOf(resource.attributes);
      for (const span of scopeSpans.flatMap(({ spans }: { spans: Span[] }) => spans))
        this.spans.push({ ...span, attributes: valuesOf(span.attributes) });
    }
  }
}

function valuesOf(attributes: { key: string; value: Record<string, string | number> }[]): Attributes {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0] ?? '']));
}
