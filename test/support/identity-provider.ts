import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';

/** The key server of an identity provider, and the provider's signature. */
export class IdentityProvider {
  private readonly keys = generateKeyPair('RS256', { extractable: true });
  private readonly server: Server = createServer((_, response) => {
    void this.jwk().then((key) =>
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [key] })),
    );
  });

  /** @returns where the keys are served */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/keys`;
  }

  async token(sub: unknown, overrides: { iss?: string; aud?: string; exp?: string } = {}): Promise<string> {
    return new SignJWT({
      sub: sub as string,
      ...(overrides.exp !== '' && { exp: inSeconds(overrides.exp ?? '10 m') }),
    })
      .setProtectedHeader({ alg: 'RS256', kid: 'one' })
      .setIssuer(overrides.iss ?? 'https://accounts.google.com')
      .setAudience(overrides.aud ?? 'our-app')
      .setIssuedAt()
      .sign(await this.privateKey());
  }

  async privateKey(): Promise<CryptoKey> {
    return (await this.keys).privateKey;
  }

  /** The key that verifies, as it is published. */
  async jwk(): Promise<JWK> {
    return { ...(await exportJWK((await this.keys).publicKey)), kid: 'one', alg: 'RS256', use: 'sig' };
  }

  close(): void {
    this.server.close();
  }
}

/** `10 m`, `-1 m`. */
const inSeconds = (minutes: string) => Math.floor(Date.now() / 1000) + 60 * Number.parseInt(minutes, 10);
