/** What features may know of a request, whichever HTTP adapter carries it. */
export interface RequestWithId {
  /** Sent back as `X-Request-Id` and in every error. */
  id: string;
  headers: Record<string, string | string[] | undefined>;
  /** The client's network address; `TRUST_PROXY` says whose word is taken for it. */
  address: string;
  params: Record<string, string | undefined>;
}

/** The value of a header that may come once, or undefined. */
export function header(request: RequestWithId, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}

/** The token of an `Authorization: Bearer` header, or undefined for none and for other schemes. */
export function bearerToken(request: RequestWithId): string | undefined {
  return /^bearer +(\S+) *$/i.exec(header(request, 'authorization') ?? '')?.[1];
}
