/** What features may know of a request, whichever HTTP adapter carries it. */
export interface RequestWithId {
  /** Sent back as `X-Request-Id` and in every error. */
  id: string;
  headers: Record<string, string | string[] | undefined>;
}

/** The value of a header that may come once, or undefined. */
export function header(request: RequestWithId, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}
