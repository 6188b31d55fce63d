import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from './postgres.mjs';
import { claimNo } from './rls-stage.mjs';
import { connectionFor, SHAPES } from './rls-statements.mjs';

/**
 * The process that makes the load for `rls.mjs`, so that it is not measured with the server. It is led through a slice step
 * by step and answers each with what it did. A slice with an answer that is not the right one is no measurement, and fails.
 */

const CLIENTS = 6;
const WARM_UP_MS = 1_000;

const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
const connections = new Map();
const steps = { meet, start, measure, finish };
let projects;
/** What runs from `start` to `finish`. */
let load;

process.on('message', ({ step, ...message }) => {
  steps[step](message).then(
    (answer) => process.send(answer),
    (error) => process.send({ error: error.stack }),
  );
});

async function meet(message) {
  ({ projects } = message);
  return {};
}

/** Runs clients until told to finish, each of which takes the next number when it is done with one; answers when warm. */
async function start({ work, url, isProtected, from }) {
  const act = await actor(work, url, isProtected);
  load = { next: from, done: 0, ends: false };
  load.clients = Promise.all(Array.from({ length: CLIENTS }, (_, no) => client(act, no)));
  await runFor(WARM_UP_MS);
  return {};
}

async function client(act, no) {
  while (!load.ends) {
    const n = load.next;
    load.next += 1;
    await act(claimNo(n, projects), no);
    load.done += 1;
  }
}

async function measure({ ms }) {
  const [before, started, cpu] = [load.done, performance.now(), process.cpuUsage()];
  await runFor(ms);
  const used = process.cpuUsage(cpu);
  return {
    count: load.done - before,
    seconds: (performance.now() - started) / 1000,
    cpu: (used.user + used.system) / 1e6,
  };
}

async function finish() {
  load.ends = true;
  await load.clients;
  return { next: load.next };
}

function runFor(ms) {
  return Promise.race([sleep(ms), load.clients]);
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
