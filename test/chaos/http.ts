export interface Answer {
  status: number;
  body: any;
}

export interface Request {
  path: string;
  method?: 'GET' | 'POST' | 'PATCH';
  headers?: Record<string, string>;
  body?: object;
}

/** @returns undefined when there was no answer in time, or none that was whole */
export async function send(
  baseUrl: string,
  { path, method, headers, body }: Request,
  timeoutMs: number,
): Promise<Answer | undefined> {
  try {
    const response = await fetch(`${baseUrl}${path}`, {
      method: method ?? (body ? 'POST' : 'GET'),
      headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    });
    return { status: response.status, body: await response.json() };
  } catch {
    return undefined;
  }
}
