import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/**
 * Makes the database of a release, by that release itself: its command line and its server fill an empty database, which is
 * then written to `<name>.sql`, with what its users know of it in `<name>.json`. See README.md beside it.
 *
 *     DATABASE_URL=… node test/releases/make.mjs <folder of the built release> <name>
 */
const [folder, name] = process.argv.slice(2);
const { DATABASE_URL } = process.env;
if (!folder || !name || !DATABASE_URL)
  throw new Error('Give DATABASE_URL (an empty database), the folder of a built release and a name.');

const SECRET = 'the secret of an old installation, 32+';
const env = {
  ...{ PATH: process.env.PATH, DATABASE_URL, SESSION_SECRET: SECRET, PORT: '0' },
  ...{ SESSION_TTL_DAYS: '365', REFRESH_TTL_DAYS: '3650' },
};

function cli(...args) {
  const program = join(folder, 'dist/src/cli.js');
  return JSON.parse(execFileSync(process.execPath, [program, '--json', ...args], { env, encoding: 'utf8' }));
}

async function serve() {
  const server = spawn(process.execPath, [join(folder, 'dist/src/main.js')], { env, stdio: 'pipe' });
  for await (const line of createInterface(server.stdout)) {
    const url = /API +(http\S+)/.exec(line)?.[1];
    if (url) return { server, url };
  }
  throw new Error('The release did not start.');
}

const { id: projectId, client_key: clientKey } = cli('project', 'create', '--name', 'A game of before');
const inProject = ['--project', projectId];
const currency = (code, ...more) =>
  cli('currency', 'create', ...inProject, '--code', code, '--name', code, ...more);
const code = (text, ...more) => cli('code', 'create', ...inProject, '--code', text, ...more);
currency('gems', '--max-balance', '70');
currency('coins', '--initial-balance', '100');
currency('tickets');
code('FRIENDS', '--reward-referrer', '{"gems": 50}', '--reward-referee', '{"coins": 200}');
code('PROMO', '--reward-referee', '{"tickets": 3}', '--max-uses', '2');
cli('provider', 'set', ...inProject, '--provider', 'google', '--audience', 'our-app');
cli('user', 'create', ...inProject, '--external-id', 'user-42');
cli('currency', 'delete', ...inProject, '--code', 'tickets');

const { server, url } = await serve();

async function ask(path, { token, body, ...headers } = {}) {
  const response = await fetch(`${url}/client/${path}`, {
    method: body ? 'POST' : 'GET',
    headers: {
      ...{ 'X-Api-Key': clientKey, 'Content-Type': 'application/json', ...headers },
      ...(token && { Authorization: `Bearer ${token}` }),
    },
    body: body && JSON.stringify(body),
  });
  const { data, error } = await response.json();
  if (error) throw new Error(`${path}: ${JSON.stringify(error)}`);
  return data;
}
const arrive = () => ask('auth/anonymous', { body: {} });
const claim = (user, text, key) =>
  ask('referrals/claim', { token: user.session_token, body: { code: text }, 'Idempotency-Key': key });

const [ada, grace, eve, refreshed, gone] = [
  await arrive(),
  await arrive(),
  await arrive(),
  await arrive(),
  await arrive(),
];
const login = { email: 'mary@example.com', password: 'correct horse' };
await ask('auth/email/signup', { body: login });
const { code: adaCode } = await ask('referrals/my-code', { token: ada.session_token });
const { id: claimId } = await claim(grace, adaCode, 'claim-of-Grace');
// the maximum lets Ada have 20 of these 50
await claim(eve, adaCode, 'claim-of-Eve');
// owes tickets, which are gone for now
await claim(ada, 'PROMO', 'claim-of-Ada');
const { session_token, refresh_token } = await ask('auth/refresh', {
  body: { refresh_token: refreshed.refresh_token },
});
await ask('auth/logout', { body: { refresh_token: gone.refresh_token } });
server.kill('SIGTERM');
await once(server, 'exit');

const knownOf = ({ user, session_token, refresh_token }) => ({ id: user.id, session_token, refresh_token });
const known = {
  ...{ secret: SECRET, projectId, clientKey, adaCode, claimId, login },
  ...{
    ada: knownOf(ada),
    grace: knownOf(grace),
    gone: knownOf(gone),
    refreshed: { session_token, refresh_token },
  },
};
const dump = execFileSync(
  'pg_dump',
  ['--inserts', '--rows-per-insert=100', '--no-owner', '--no-privileges', `--dbname=${DATABASE_URL}`],
  { encoding: 'utf8', maxBuffer: 2 ** 28 },
);
// what only psql understands, and what changes with the version of pg_dump
const sql = dump.replace(/^(\\.*|SET transaction_timeout.*)\n/gm, '');
writeFileSync(join(import.meta.dirname, `${name}.sql`), sql);
writeFileSync(join(import.meta.dirname, `${name}.json`), `${JSON.stringify(known, null, 2)}\n`);
