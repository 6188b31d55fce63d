import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from './postgres.mjs';
import { claimNo } from './rls-stage.mjs';
import { connectionFor, SHAPES } from './rls-statements.mjs';

/**
 * The process that makes the load for `rls.mjs`, so that it is not measured with the server. It is told one slice at a
 * time and says when it is warm and what it did.
 */

const CLIENTS = 6;
const WARM_UP_MS = 1_000;

const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
const connections = new Map();
let projects;

process.on('message', async (message) => {
  if (message.projects) ({ projects } = message);
  else await slice(message);
});

/** Runs clients for the given time; each takes the next number when it is done with one. */
async function slice({ work, url, isProtected, from, ms }) {
  const act = await actor(work, url, isProtected);
  let [next, done, ends] = [from, 0, false];
  const client = async (no) => {
    while (!ends) {
      const n = next;
      next += 1;
      await act(claimNo(n, projects), no);
      done += 1;
    }
  };
  const clients = Array.from({ length: CLIENTS }, (_, no) => client(no));
  await Promise.race([sleep(WARM_UP_MS), Promise.all(clients)]);
  process.send({ warm: true });
  const [before, start, cpu] = [done, performance.now(), process.cpuUsage()];
  await Promise.race([sleep(ms), Promise.all(clients)]);
  const used = process.cpuUsage(cpu);
  const result = {
    count: done - before,
    seconds: (performance.now() - start) / 1000,
    cpu: (used.user + used.system) / 1e6,
  };
  ends = true;
  process.send({ ...result, done: true });
  await Promise.all(clients);
  process.send({ next });
}

async function actor(work, url, isProtected) {
  if (work === 'claim') {
    return ({ project, claimer, code }) =>
      call('POST', `${url}/v1/client/referrals/claim`, { project, claimer }, { code });
  }
  if (work === 'my-code') return (who) => call('GET', `${url}/v1/client/referrals/my-code`, who);
  if (work === 'balances') return (who) => call('GET', `${url}/v1/client/currencies`, who);
  if (!connections.has(url)) {
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => connect(url)));
    connections.set(
      url,
      clients.map((client) => connectionFor(client, isProtected)),
    );
  }
  return (claim, no) => SHAPES[work](connections.get(url)[no], claim);
}

function call(method, url, { project, claimer }, body) {
  const text = body && JSON.stringify(body);
  const headers = {
    'x-api-key': project.key,
    authorization: `Bearer ${claimer.token}`,
    ...(text && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
  };
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const answer = Buffer.concat(chunks).toString();
        const isPaid = method === 'GET' || answer.includes('"status":"granted"');
        if (response.statusCode < 300 && isPaid) resolve();
        else reject(new Error(`${response.statusCode} ${answer}`));
      });
    });
    sent.on('error', reject);
    sent.end(text);
  });
}
