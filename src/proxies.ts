import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import proxyAddress, { compile } from 'proxy-addr';
import { StartupError } from './common/startup-error';
import type { Config } from './config';

/** Whether the word of this address counts, `hop` proxies away from us. */
export type Trust = (address: string, hop: number) => boolean;

/** Whom `TRUST_PROXY` tells to believe. @throws StartupError when it is neither a number nor addresses */
export function trustedProxies({ trustProxy = 0 }: Config): Trust {
  if (typeof trustProxy === 'number') return (_, hop) => hop < trustProxy;
  try {
    return compile(trustProxy.split(',').map((address) => address.trim()));
  } catch (error) {
    throw new StartupError(
      `TRUST_PROXY is not valid: ${(error as Error).message}. Give the number of proxies in front, or their addresses.`,
      { cause: error },
    );
  }
}

/** As some proxies name a client, with the port of its connection: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
const WITH_PORT = /^(?:(\d+\.\d+\.\d+\.\d+):\d+|\[(.+)\](?::\d+)?)$/;

/**
 * The client's network address, behind trusted proxies the one that they name; the proxy's own when what it names is none.
 * Undefined when the client is gone already.
 */
export function addressOf(request: IncomingMessage, trust: Trust): string | undefined {
  const own = request.socket.remoteAddress;
  if (own === undefined) return undefined;
  const named = proxyAddress(request, trust);
  const [, v4, v6] = WITH_PORT.exec(named) ?? [];
  const address = v4 ?? v6 ?? named;
  return isIP(address) ? address : own;
}

/** Whether the request came over TLS, as a trusted proxy says: we speak plain HTTP ourselves. */
export function cameOverTls({ headers, socket }: IncomingMessage, trust: Trust): boolean {
  const scheme = headers['x-forwarded-proto'];
  if (typeof scheme !== 'string' || !trust(socket.remoteAddress ?? '', 0)) return false;
  return scheme.split(',', 1)[0]?.trim() === 'https';
}
