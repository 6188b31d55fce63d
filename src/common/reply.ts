/** An answer whose status or headers depend on what happened; `EnvelopeInterceptor` writes it. */
export class Reply<T> {
  constructor(
    readonly data: T,
    readonly options: { status?: number; headers?: Record<string, string> } = {},
  ) {}
}
