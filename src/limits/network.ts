import { IPv6, parse } from 'ipaddr.js';

/** Longer than any address is; what is longer came from a proxy that sends something else. */
const MAX_LENGTH = 64;
/** Of 16-bit parts: providers give each customer a network of 64 bits at least. */
const NETWORK_PARTS = 4;

/**
 * Whom a network address stands for: an IPv4 address, also when it is written as IPv6; for IPv6 the network of 64 bits,
 * whose other addresses cost its owner nothing.
 */
export function networkOf(address: string): string {
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
