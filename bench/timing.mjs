import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { cpus } from 'node:os';
import { BENCH, load, withApp } from './app.mjs';
import { quantile, samplesToTell, separation } from './statistics.mjs';

/**
 * Times the refusals that must not tell why: of codes that are unknown, inactive, deleted or of a disabled owner, of
 * API keys, and of passwords. One request after another on one connection, the kinds in random order in each round.
 * Prints Markdown. Needs nothing but this repository; takes some minutes, and cleans up.
 *
 *   npm run bench:timing [-- samples of each kind]
 */

const [, , asked = '4000'] = process.argv;
if (!/^[1-9]\d*$/.test(asked)) {
  console.error('Usage: npm run bench:timing [-- samples of each kind]');
  process.exit(2);
}
const SAMPLES = Number(asked);
const WARM_UP = 200;
const PERCENTILES = [0.05, 0.25, 0.5, 0.75, 0.95, 0.99];
/** As many codes of each kind, tried in turn; the index that they are in has some depth. */
const CODES = 100;
const OTHER_CODES = 20_000;
const BATCH = 1_000;

const { DataSource } = await import('typeorm');
const { LIMITS } = await load('src/config.js');
const { generateApiKey } = await load('src/auth/api-key.js');
const { hashPassword } = await load('src/auth/passwords.js');
const { DevelopersService } = await load('src/developers/developers.service.js');
const { ProjectsService } = await load('src/projects/projects.service.js');
const { generateCode } = await load('src/referrals/code.js');
const { SignInService } = await load('src/users/sign-in.service.js');
const { UsersService } = await load('src/users/users.service.js');

const PASSWORD = 'correct horse';
const JSON_BODY = { 'content-type': 'application/json' };
const UNLIMITED = {
  rateLimits: Object.fromEntries(LIMITS.map((name) => [name, { requests: 1e6, perS: 60 }])),
};

await withApp(UNLIMITED, async (app) => {
  const scene = await prepareScene(app);
  console.log(`${SAMPLES.toLocaleString('en')} samples of each kind, ${cpus().length} × ${cpus()[0]?.model}`);
  const subjects = [await codes(scene), await apiKeys(scene), await users(scene), await developers(scene)];
  for (const subject of subjects) await measure(await app.getUrl(), subject);
});

async function prepareScene(app) {
  const db = app.get(DataSource);
  const { project, keys } = await app.get(ProjectsService).create(BENCH, { name: 'Bench' }, 'development');
  const guesser = (await app.get(SignInService).anonymous(project.id)).tokens.sessionToken;
  const key = { 'x-api-key': keys.client.key };
  return { app, db, projectId: project.id, key, guesser: { ...key, authorization: `Bearer ${guesser}` } };
}

/** The codes of users, of which one user claims those that cannot be claimed. */
async function codes({ db, projectId, guesser }) {
  const fill = async (count, columns = {}) => {
    const made = new Set();
    while (made.size < count) made.add(generateCode(8));
    const { owner = 'NULL', active = true, deleted = 'NULL' } = columns;
    await db.query(
      `WITH owners AS (
         INSERT INTO app_users (project_id, display_name, disabled_at) SELECT $1, 'Bench', ${owner} FROM unnest($2::text[])
         RETURNING id)
       INSERT INTO referral_codes (project_id, user_id, code, is_active, deleted_at)
       SELECT $1, o.id, c.code, ${active}, ${deleted}
         FROM (SELECT id, row_number() OVER () AS n FROM owners) o
         JOIN (SELECT code, row_number() OVER () AS n FROM unnest($2::text[]) code) c USING (n)`,
      [projectId, [...made]],
    );
    return [...made];
  };
  for (let filled = 0; filled < OTHER_CODES; filled += BATCH) {
    await fill(BATCH);
    // or the triggers would go on with the plans that they made for empty tables
    if (filled === 0) await db.query('ANALYZE');
  }
  const kinds = {
    unknown: Array.from({ length: CODES }, () => generateCode(8)),
    'unknown, once more': Array.from({ length: CODES }, () => generateCode(8)),
    inactive: await fill(CODES, { active: false }),
    deleted: await fill(CODES, { deleted: 'now()' }),
    'of a disabled owner': await fill(CODES, { owner: 'now()' }),
  };
  await db.query('VACUUM ANALYZE');
  const claim = (code) => ({
    path: '/v1/client/referrals/claim',
    headers: { ...guesser, ...JSON_BODY },
    body: { code },
  });
  return { title: 'Codes', expected: '404 INVALID_CODE', kinds: attempts(kinds, claim) };
}

async function apiKeys({ app, db }) {
  const projects = app.get(ProjectsService);
  const made = [];
  for (let i = 0; i < 2 * CODES; i += 1) {
    const { project, keys } = await projects.create(BENCH, { name: `Bench ${i}` }, 'development');
    made.push({ id: project.id, key: keys.client.key });
  }
  const [deactivated, deleted] = [made.slice(0, CODES), made.slice(CODES)];
  await db.query(`UPDATE api_keys SET is_active = false WHERE project_id = ANY ($1)`, [ids(deactivated)]);
  await db.query(`UPDATE projects SET deleted_at = now() WHERE id = ANY ($1)`, [ids(deleted)]);
  const unknown = () => Array.from({ length: CODES }, () => generateApiKey('client', 'development'));
  const kinds = {
    ...{ unknown: unknown(), 'unknown, once more': unknown() },
    ...{
      deactivated: deactivated.map(({ key }) => key),
      'of a deleted project': deleted.map(({ key }) => key),
    },
  };
  const read = (key) => ({ method: 'GET', path: '/v1/client/config', headers: { 'x-api-key': key } });
  return { title: 'API keys', expected: '401 INVALID_API_KEY', kinds: attempts(kinds, read) };
}

/** E-mail and password of an app's users. */
async function users({ app, db, projectId, key }) {
  const passwordHash = await hashPassword(PASSWORD);
  const signUp = async (disabled) => {
    const emails = newEmails();
    for (const email of emails) await app.get(UsersService).create(projectId, { email, passwordHash });
    if (disabled) await db.query(`UPDATE app_users SET disabled_at = now() WHERE email = ANY ($1)`, [emails]);
    return emails;
  };
  const kinds = {
    ...{ 'unknown e-mail': newEmails(), 'unknown e-mail, once more': newEmails() },
    'wrong password': await signUp(false),
    'wrong password, disabled user': await signUp(true),
  };
  const headers = { ...key, ...JSON_BODY };
  return logIns('Passwords of users', '/v1/client/auth/email/login', { kinds, headers });
}

async function developers({ app }) {
  const known = newEmails();
  for (const email of known) await app.get(DevelopersService).create(BENCH, { email, password: PASSWORD });
  const kinds = {
    ...{ 'unknown e-mail': newEmails(), 'unknown e-mail, once more': newEmails() },
    'wrong password': known,
  };
  return logIns('Passwords of developers', '/v1/auth/developer/login', { kinds, headers: JSON_BODY });
}

function logIns(title, path, { kinds, headers }) {
  const logIn = (email) => ({ path, headers, body: { email, password: 'wrong horse' } });
  return { title, expected: '401 INVALID_CREDENTIALS', kinds: attempts(kinds, logIn) };
}

async function measure(url, { title, expected, kinds }) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const times = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, []]));
  for (let round = -WARM_UP; round < SAMPLES; round += 1) {
    for (const kind of shuffled(Object.keys(kinds))) {
      const attempt = kinds[kind][(round + WARM_UP) % kinds[kind].length];
      const { time, outcome } = await send(url, agent, attempt);
      if (outcome !== expected) throw new Error(`${title}, ${kind}: ${outcome} is not ${expected}`);
      if (round >= 0) times[kind].push(time);
    }
  }
  agent.destroy();
  print(title, times);
}

function print(title, times) {
  console.log(`\n## ${title}\n`);
  const columns = PERCENTILES.map((share) => `p${share * 100} ms`);
  console.log(`| Kind | ${columns.join(' | ')} | P(slower than the first) | Samples to tell |`);
  console.log(`| --- |${' ---: |'.repeat(columns.length + 2)}`);
  const [first] = Object.values(times);
  for (const [kind, samples] of Object.entries(times)) {
    const shown = PERCENTILES.map((share) => quantile(samples, share).toFixed(3));
    console.log(
      `| ${[kind, ...shown, ...(samples === first ? ['', ''] : compared(samples, first))].join(' | ')} |`,
    );
  }
}

/** An interval around 0.5 says that nothing was found, not how little there is. */
function compared(samples, first) {
  const { probability, low, high } = separation(samples, first);
  const interval = `${probability.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`;
  const isApart = low > 0.5 || high < 0.5;
  return [interval, isApart ? samplesToTell(probability).toLocaleString('en') : 'not told apart'];
}

function send(url, agent, { method = 'POST', path, headers, body }) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const call = request(new URL(path, url), { method, headers, agent }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += chunk));
      response.on('end', () => {
        const time = performance.now() - start;
        resolve({ time, outcome: `${response.statusCode} ${JSON.parse(text).error?.code}` });
      });
    });
    call.on('error', reject);
    call.end(body && JSON.stringify(body));
  });
}

function attempts(kinds, attempt) {
  return Object.fromEntries(Object.entries(kinds).map(([kind, secrets]) => [kind, secrets.map(attempt)]));
}

function newEmails() {
  return Array.from({ length: CODES }, () => `${randomUUID()}@example.com`);
}

function ids(rows) {
  return rows.map(({ id }) => id);
}

function shuffled(values) {
  const rest = [...values];
  return values.map(() => rest.splice(Math.floor(Math.random() * rest.length), 1)[0]);
}
