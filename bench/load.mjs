import autocannon from 'autocannon';
import { caseOf } from './cases.mjs';
import { pacedSlice } from './paced.mjs';
import { requestsOf } from './requests.mjs';
import { quantile } from './statistics.mjs';

/**
 * The process that makes the load, so that it is not measured with the servers: autocannon, one request at a time on each
 * connection, each by another user. It is told one slice at a time and says what it saw. A slice with an answer that is
 * not the right one is no measurement, and fails; unless it is asked at a `rate` (`paced.mjs`).
 */

/** autocannon looks this often whether the time is over. */
const SAMPLE_MS = 50;
/** A reward that is paid later would make the claim look faster than it is. */
const LATER = '"status":"pending"';

process.on('message', (task) => {
  (task.rate ? pacedSlice : slice)(task).then(
    (figures) => process.send(figures),
    (error) => process.send({ error: error.stack }),
  );
});

/**
 * @param task `name` of the case, `url`, `crowd`, `seconds`, `connections`, and `fresh`: the next and the last of the users
 *   who have done nothing yet
 */
async function slice({ name, url, crowd, seconds, connections, fresh }) {
  const times = [];
  const wrong = [];
  const next = requestsOf(caseOf(name), crowd, fresh);
  const start = performance.now();
  const result = await autocannon({
    ...{ url, connections, duration: seconds, sampleInt: SAMPLE_MS, timeout: 10 },
    verifyBody: (body) => !body.includes(LATER),
    setupClient: (client) => {
      let asked = next();
      client.setRequests([asked.request]);
      client.on('response', (status, _bytes, ms) => {
        times.push(ms);
        if (status !== asked.status) wrong.push(`${asked.request.path}: ${status}, not ${asked.status}`);
        asked = next();
        client.setRequests([asked.request]);
      });
    },
  });
  const lasted = (performance.now() - start) / 1000;
  const { errors, timeouts, mismatches } = result;
  if (wrong.length + errors + timeouts + mismatches > 0) {
    const first = wrong[0] ? ` The first: ${wrong[0]}.` : '';
    throw new Error(
      `${name} on ${url}: ${wrong.length} wrong answers, ${mismatches} rewards not paid, ${errors} errors, ${timeouts} timeouts.${first}`,
    );
  }
  return {
    ...{ count: times.length, perSecond: times.length / lasted, next: fresh.next },
    ...{ p50: quantile(times, 0.5), p99: quantile(times, 0.99) },
  };
}
