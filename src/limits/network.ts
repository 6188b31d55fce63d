import { IPv6, parse } from 'ipaddr.js';

/** Longer than any address is; what is longer came from a proxy that sends something else. */
const MAX_LENGTH = 64;
/** Of 16-bit parts: providers give each customer a network of 64 bits at least. */
const NETWORK_PARTS = 4;

/** As some proxies name a client, with the port of its connection: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
const WITH_PORT = /^(?:(\d+\.\d+\.\d+\.\d+):\d+|\[(.+)\](?::\d+)?)$/;

/** A connection that its client has closed has no address any more. */
const GONE = 'gone';

/**
 * Whom a network address stands for: an IPv4 address, also when it is written as IPv6; for IPv6 the network of 64 bits,
 * whose other addresses cost its owner nothing. Not its port, which is another one for each connection.
 */
export function networkOf(named: string | undefined): string {
  if (named === undefined) return GONE;
  const [, v4, v6] = WITH_PORT.exec(named) ?? [];
  const address = v4 ?? v6 ?? named;
  if (!address.includes(':')) return address.slice(0, MAX_LENGTH);
  try {
    const parsed = parse(address);
    if (!(parsed instanceof IPv6)) return parsed.toString();
    if (parsed.isIPv4MappedAddress()) return parsed.toIPv4Address().toString();
    return `${parsed.parts
      .slice(0, NETWORK_PARTS)
      .map((part) => part.toString(16))
      .join(':')}::/64`;
  } catch {
    return address.slice(0, MAX_LENGTH);
  }
}
