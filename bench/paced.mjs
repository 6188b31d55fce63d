import { Agent, request as send } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { caseOf } from './cases.mjs';
import { requestsOf } from './requests.mjs';
import { quantile } from './statistics.mjs';

/**
 * Asks at a rate, evenly, whether or not the server keeps up: a request that finds every connection taken waits for one,
 * and its time counts from when it was due. autocannon cannot: it sends what a second may have as fast as it can.
 */

const TIMEOUT_MS = 10_000;
/** A reward that is paid later is not what was asked for. */
const LATER = '"status":"pending"';

/**
 * Wrong answers are counted, not thrown: a long run is worth reading to its end.
 *
 * @param task `name` of the case, `url`, `crowd`, `seconds`, `connections`, `rate` in requests a second, and `fresh`
 */
export async function pacedSlice({ name, url, crowd, seconds, connections, rate, fresh }) {
  // in turn, so that none is idle for so long that the server closes it
  const agent = new Agent({ keepAlive: true, maxSockets: connections, scheduling: 'fifo' });
  const next = requestsOf(caseOf(name), crowd, fresh);
  const [times, wrong, open] = [[], [], new Set()];
  const ask = async () => {
    const { request, status } = next();
    const start = performance.now();
    const failure = await failureOf(new URL(request.path, url), { ...request, agent }, status);
    times.push(performance.now() - start);
    if (failure) wrong.push(`${request.method} ${request.path}: ${failure}`);
  };
  const total = Math.floor(rate * seconds);
  const start = performance.now();
  for (let sent = 0; sent < total; await setTimeout(1)) {
    const due = Math.min(total, Math.floor(((performance.now() - start) / 1000) * rate));
    for (; sent < due; sent += 1) {
      const asked = ask().finally(() => open.delete(asked));
      open.add(asked);
    }
  }
  await Promise.all(open);
  const lasted = (performance.now() - start) / 1000;
  agent.destroy();
  return {
    ...{ count: times.length, perSecond: times.length / lasted, next: fresh.next },
    ...{ p50: quantile(times, 0.5), p99: quantile(times, 0.99), errors: wrong.length, firstError: wrong[0] },
  };
}

/** @returns what is wrong with the answer, in words; undefined when nothing is */
function failureOf(url, { body, ...options }, expected) {
  return new Promise((resolve) => {
    const call = send(url, { ...options, timeout: TIMEOUT_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (text += chunk));
      response.on('error', (error) => resolve(error.message));
      response.on('end', () => {
        if (response.statusCode !== expected) resolve(`${response.statusCode}, not ${expected}: ${text}`);
        else resolve(text.includes(LATER) ? 'a reward is not paid' : undefined);
      });
    });
    call.on('timeout', () => call.destroy(new Error(`no answer in ${TIMEOUT_MS / 1000} s`)));
    call.on('error', (error) => resolve(error.message));
    call.end(body);
  });
}
