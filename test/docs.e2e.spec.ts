import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { Program } from './support/process';
import { useWorld } from './support/world';

/** The README's examples, run as they stand. */
jest.setTimeout(90_000);

const world = useWorld();

const readme = readFileSync(join(__dirname, '../README.md'), 'utf8');
const blocks = (language: string) =>
  [...readme.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, 'g'))].map(([, code = '']) => code);

/** Runs a snippet with these names defined, and returns the values of the ones it defines. */
async function evaluate(code: string, given: object, results: string[]): Promise<Record<string, any>> {
  const body = `(async () => { ${code}\nreturn JSON.stringify({ ${results.join(', ')} }); })()`;
  return JSON.parse(await (runInNewContext(body, { ...given, fetch, crypto }) as Promise<string>));
}

it('"Use it from your app" does what it says', async () => {
  const tenant = await world.tenant();
  await tenant.currency({ code: 'gems' });
  await tenant.code({ code: 'WELCOME', rewardReferee: { gems: 25 } });
  const email = `${randomUUID()}@example.com`;
  const [snippet = ''] = blocks('js');
  const { mine, claim, balances, history, session } = await evaluate(
    snippet,
    {
      BASE_URL: world.url,
      CLIENT_KEY: tenant.clientKey,
      typedByTheUser: 'welcome',
      email,
      password: 'correct horse',
    },
    ['mine', 'claim', 'balances', 'history', 'session'],
  );
  expect(mine.code).toMatch(/^\w{8}$/);
  expect(claim.rewards).toEqual([{ currency_code: 'gems', amount: 25, granted: 25, status: 'granted' }]);
  expect(balances).toMatchObject([{ currency_code: 'gems', balance: 25 }]);
  expect(history).toMatchObject([{ amount: 25, reference_id: claim.id }]);
  expect(session.user).toMatchObject({ id: mine.app_user_id, email });
  const { status } = await world.http
    .get('/client/users/me')
    .set({ 'x-api-key': tenant.clientKey, authorization: `Bearer ${session.session_token}` });
  expect(status).toBe(401);
});

it('"Use it from your app" keeps the session when a call fails', async () => {
  const tenant = await world.tenant();
  const [snippet = ''] = blocks('js');
  const email = `${randomUUID()}@example.com`;
  const given = {
    BASE_URL: world.url,
    CLIENT_KEY: tenant.clientKey,
    typedByTheUser: 'unknown',
    email,
    password: 'correct horse',
  };
  await expect(evaluate(snippet, given, [])).rejects.toMatchObject({
    code: 'INVALID_CODE',
    request_id: expect.any(String),
  });
});

it('"An app with its own users" does what it says', async () => {
  const tenant = await world.tenant();
  const [, snippet = ''] = blocks('js');
  const given = { BASE_URL: world.url, PROJECT_ID: tenant.id, SERVER_KEY: tenant.serverKey };
  const { data } = await evaluate(snippet, given, ['data']);
  expect(data.user).toMatchObject({ external_id: 'user-42', display_name: 'Ada' });
  await world.http
    .get('/client/users/me')
    .set({ 'x-api-key': tenant.clientKey, authorization: `Bearer ${data.session_token}` })
    .expect(200);
});

it('"Set it up" does what it says', async () => {
  const commands = blocks('sh').flatMap((block) =>
    block.split('\n').filter((line) => line.includes(' cli -- ')),
  );
  expect(commands).toHaveLength(6);
  const ids: Record<string, string> = {};
  const env = {
    DATABASE_URL: (world.db.options as { url: string }).url,
    SESSION_SECRET: world.config.sessionSecrets[0],
  };
  for (const command of commands) {
    const words = [...command.slice(command.indexOf('-- ') + 3).matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)];
    const args = words.map(
      ([, double, single, plain]) => double ?? single ?? ids[plain ?? ''] ?? plain ?? '',
    );
    const program = new Program('cli', env, ['--json', ...args]);
    expect({ command, exit: await program.exit, output: program.output }).toMatchObject({ command, exit: 0 });
    const result = JSON.parse(program.output);
    if (args[0] === 'project') ids.PROJECT_ID = result.id;
    if (args[0] === 'user') ids.USER_ID = result.id;
    if (args[0] === 'session') expect(result.session_token).toMatch(/^ey/);
  }
});

it('the curl lines are those that the start prints', () => {
  const demo = readFileSync(join(__dirname, '../src/demo.ts'), 'utf8');
  const [console = ''] = blocks('console');
  const shown = [...console.matchAll(/^\$ curl -s http:\/\/127\.0\.0\.1:3000(\S+)/gm)].map(
    ([, path]) => path,
  );
  const printed = [...demo.matchAll(/^curl -s \$\{url\}(\S+)/gm)].map(([, path]) => path);
  expect(shown).toEqual(printed);
  for (const [, answer = ''] of console.matchAll(/^(\{.*)$/gm))
    expect(JSON.parse(answer)).toHaveProperty('data');
});
