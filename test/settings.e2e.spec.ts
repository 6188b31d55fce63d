import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { StartupError } from '../src/common/startup-error';
import { loadConfig, loadDatabaseConfig } from '../src/config';
import { Environment, SECRETS } from '../src/environment';
import { usePrograms } from './support/process';
import { cloneDatabase } from './support/world';

const ROOT = join(__dirname, '..');
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const SECRET = 'x'.repeat(32);

jest.setTimeout(90_000);

const { run } = usePrograms();

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'amba-settings-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A file of its own with this content. */
const file = (name: string, content: string) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

describe('the lists of settings', () => {
  const names = Object.keys(Environment.shape) as (keyof typeof Environment.shape)[];
  /** What is written for a setting that is left out, `null` for nothing. */
  const defaults = names.map((name): [string, string | null] => {
    const value = Environment.shape[name].parse(undefined);
    return [name, value === undefined ? null : String(value)];
  });
  const example = read('.env.example');

  it('the table of the README has all of them, with their defaults', () => {
    const rows = [...read('README.md').matchAll(/^\| `([A-Z_]+)` \|(.*?)\| (.+) \|$/gm)];
    const listed = rows.map(([, name, cell = '']) => [name, /^`([^`]+)`$/.exec(cell.trim())?.[1] ?? null]);
    expect(listed).toEqual([...defaults, ['TEST_DATABASE_URL', null]]);
  });

  it('the README names the secrets that may be in files', () => {
    const named = [...read('README.md').matchAll(/`(\w+)_FILE`/g)].map(([, name]) => name);
    expect(named).toEqual([...SECRETS]);
  });

  it('.env.example has all of them, with their defaults and a line that says what they mean', () => {
    const listed = [...example.matchAll(/^#([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [
      name,
      value || null,
    ]);
    const isSecret = (name: string) => (SECRETS as readonly string[]).includes(name);
    expect(listed).toEqual(
      defaults.flatMap((entry) => (isSecret(entry[0]) ? [entry, [`${entry[0]}_FILE`, null]] : [entry])),
    );
    const blocks = example.trim().split('\n\n').slice(1);
    expect(blocks).toHaveLength(defaults.length);
    for (const block of blocks) expect(block).toMatch(/^(# .+\n)+(#[A-Z_]+=.*\n?)+$/);
  });

  it('.env.example changes nothing when all of it is used', () => {
    const given = parseEnv(example.replace(/^#(?=[A-Z])/gm, ''));
    expect(Object.keys(given)).toHaveLength(defaults.length + SECRETS.length);
    expect(loadConfig({ ...given, SESSION_SECRET: SECRET })).toEqual(loadConfig({ SESSION_SECRET: SECRET }));
  });
});

/** What is said of settings that cannot work. */
function refusal(env: NodeJS.ProcessEnv): string {
  try {
    loadConfig({ ...(!env.SESSION_SECRET_FILE && { SESSION_SECRET: SECRET }), ...env });
  } catch (error) {
    expect(error).toBeInstanceOf(StartupError);
    return (error as Error).message;
  }
  throw new Error('They were not refused.');
}

describe('a setting', () => {
  it.each([
    [{ PORT: 'eighty' }, 'PORT is not valid: must be a whole number from 0 to 65535'],
    [{ PORT: '70000' }, 'PORT is not valid: must be a whole number from 0 to 65535'],
    [{ SESSION_SECRET: 'short' }, 'SESSION_SECRET is not valid: must have at least 32 characters'],
    [
      { SESSION_SECRET_PREVIOUS: 'short' },
      'SESSION_SECRET_PREVIOUS is not valid: must have at least 32 characters',
    ],
    [{ SESSION_SECRET_PREVIOUS: SECRET }, 'SESSION_SECRET_PREVIOUS is the same as SESSION_SECRET'],
    [{ METRICS_TOKEN: 'short' }, 'METRICS_TOKEN is not valid: must have at least 32 characters'],
    [{ DATABASE_PREPARED_STATEMENTS: 'maybe' }, 'DATABASE_PREPARED_STATEMENTS is not valid: must be true or'],
    [{ GOOGLE_JWKS_URL: 'ftp://keys.example' }, 'GOOGLE_JWKS_URL is not valid: must be an http or https URL'],
    [{ CORS_ORIGINS: 'app.example.com' }, 'CORS_ORIGINS is not valid: must be * or origins like https://'],
    [{ CORS_ORIGINS: 'https://a.example, https://b.example/' }, 'CORS_ORIGINS is not valid'],
    [{ CORS_ORIGINS: 'https://A.example' }, 'CORS_ORIGINS is not valid'],
    [{ SESSION_SECRET: '', DATABASE_URL: 'postgres://x' }, 'SESSION_SECRET is missing'],
    [{ DATABASE_REPLICA_URL: 'https://replica.internal' }, 'DATABASE_REPLICA_URL is not valid'],
    [{ SESSION_SECRET: ' ', NODE_ENV: 'production' }, 'SESSION_SECRET is missing'],
  ])('that cannot work is refused: %j', (env, message) => {
    expect(refusal(env)).toContain(message);
  });

  it.each(['SESSION_SECRET', 'SESSION_SECRET_PREVIOUS', 'METRICS_TOKEN'])(
    'that is a secret is not said when it is wrong: %s',
    (name) => {
      expect(refusal({ [name]: 'hunter2' })).not.toContain('hunter2');
      const [variable, path] = [`${name}_FILE`, file('short', 'hunter2')];
      expect(refusal({ [variable]: path })).toMatch(new RegExp(`^${name} is not valid: (?!.*hunter2)`));
    },
  );

  it.each(['', ' ', '\t'])('that is empty is not set: %j', (blank) => {
    const empty = Object.fromEntries(Object.keys(Environment.shape).map((name) => [name, blank]));
    expect(loadConfig({ ...empty, SESSION_SECRET: SECRET })).toEqual(loadConfig({ SESSION_SECRET: SECRET }));
  });

  it('may be a list of origins, also of apps in a shell of their own', () => {
    const { corsOrigins } = loadConfig({
      SESSION_SECRET: SECRET,
      CORS_ORIGINS: 'https://a.example , http://localhost:8080,capacitor://localhost',
    });
    expect(corsOrigins).toEqual(['https://a.example', 'http://localhost:8080', 'capacitor://localhost']);
  });

  it('seeds a demo only on an embedded database outside production', () => {
    const seeds = (env: NodeJS.ProcessEnv) => loadConfig({ SESSION_SECRET: SECRET, ...env }).seedDemo;
    expect([seeds({}), seeds({ NODE_ENV: 'production' }), seeds({ DATABASE_URL: 'postgres://x' })]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe.each(SECRETS)('%s in a file', (name) => {
  const load = (env: NodeJS.ProcessEnv) =>
    loadConfig({ ...(name !== 'SESSION_SECRET' && { SESSION_SECRET: SECRET }), ...env });
  const variable = `${name}_FILE`;
  const secret = `postgres://u:${'s'.repeat(40)}@x`;
  const token = 's'.repeat(40);

  it.each(['', '\n', '\r\n'])('is the same as without, whatever ends it: %j', (end) => {
    const value = name === 'METRICS_TOKEN' ? token : secret;
    expect(load({ [variable]: file('secret', value + end) })).toEqual(load({ [name]: value }));
  });

  it('and beside it: one has to go', () => {
    expect(refusal({ [name]: secret, [variable]: file('secret', secret) })).toBe(
      `${name} and ${variable} are both set. Keep one of them.`,
    );
  });

  it.each([
    ['is not there', () => join(folder, 'none'), 'cannot be read (ENOENT). Give the path'],
    ['is a folder', () => folder, 'cannot be read (EISDIR). Give the path'],
    ['is empty', () => file('empty', '\n'), 'is empty. Write the secret into it.'],
  ])('that %s is refused', (_, path, message) => {
    expect(refusal({ [variable]: path() })).toContain(`${variable} names a file that ${message}`);
    expect(() => loadDatabaseConfig({ [variable]: path() })).toThrow(message);
  });

  it('is never said when it stands where the path should be', () => {
    const said = refusal({ [variable]: secret });
    expect(said).toContain('cannot be read (ENOENT)');
    expect(said).not.toContain('sss');
  });
});

describe('the programs', () => {
  it('take secrets from files: migrate, the command line, the server', async () => {
    const database = await cloneDatabase({ empty: true });
    const onFile = { DATABASE_URL_FILE: file('url', `${database.url}\n`) };
    const migrate = run('migrate', onFile);
    expect(await migrate.exit).toBe(0);

    const [OLD, NEW, TOKEN] = ['o'.repeat(40), 'n'.repeat(40), 't'.repeat(40)];
    const cli = async (...args: string[]) => {
      const command = run('cli', { ...onFile, SESSION_SECRET_FILE: file('old', OLD) }, '--json', ...args);
      expect({ args, exit: await command.exit }).toEqual({ args, exit: 0 });
      return JSON.parse(command.output);
    };
    const project = await cli('project', 'create', '--name', 'Filed');
    const user = await cli('user', 'create', '--project', project.id, '--external-id', 'ada');
    const session = await cli('session', 'create', '--project', project.id, '--user', user.id);

    const server = run('main', {
      ...onFile,
      SESSION_SECRET_FILE: file('new', `${NEW}\n`),
      SESSION_SECRET_PREVIOUS_FILE: file('old', `${OLD}\n`),
      METRICS_TOKEN_FILE: file('token', `${TOKEN}\n`),
    });
    const [url] = /http:[^\s]+(?=\/docs)/.exec(await server.says('/docs')) ?? [];
    const me = await fetch(`${url}/v1/client/users/me`, {
      headers: { 'x-api-key': project.client_key, authorization: `Bearer ${session.session_token}` },
    });
    const metrics = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
    expect([me.status, metrics.status]).toEqual([200, 200]);
    for (const secret of [OLD, NEW, TOKEN, database.url]) expect(server.output).not.toContain(secret);
    server.kill('SIGTERM');
    expect(await server.exit).toBe(0);
    await database.drop();
  });
});

describe('.env', () => {
  /** As npm runs it, in the folder that the file is in. */
  async function npmRun(name: 'start' | 'migrate' | 'cli', env: NodeJS.ProcessEnv = {}, ...args: string[]) {
    const child = spawn(process.execPath, [join(ROOT, 'scripts', `${name}.mjs`), ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH, ...env },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => (output += String(chunk)));
    const [exit] = (await once(child, 'close')) as [number];
    return { exit, output: output.trim() };
  }

  it.each(['start', 'migrate', 'cli'] as const)(
    'is read by npm run %s, and counts less than the environment',
    async (name) => {
      file('.env', '# a comment\n\nPORT=from-the-file\nHTTP_ADAPTER=fastify\n');
      // ends at once, too, if the file should not be read
      const nowhere = { DATABASE_URL: 'postgres://u:p@127.0.0.1:9/x', DATABASE_WAIT_S: '0' };
      const said = async (env: NodeJS.ProcessEnv) => {
        const { exit, output } = await npmRun(
          name,
          { SESSION_SECRET: SECRET, ...nowhere, ...env },
          ...(name === 'cli' ? ['project', 'list'] : []),
        );
        expect(exit).toBe(1);
        return output;
      };
      expect(await said({})).toMatch(/^PORT is not valid/);
      expect(await said({ PORT: '0', HTTP_ADAPTER: 'koa' })).toMatch(/^HTTP_ADAPTER is not valid/);
    },
  );

  it('leads a command to the database that it names', async () => {
    const database = await cloneDatabase();
    file('.env', `DATABASE_URL=${database.url}\nSESSION_SECRET=${SECRET}\n`);
    const made = await npmRun('cli', {}, '--json', 'project', 'create', '--name', 'By file');
    const listed = run(
      'cli',
      { DATABASE_URL: database.url, SESSION_SECRET: SECRET },
      ...['--json', 'project', 'list'],
    );
    expect([made.exit, await listed.exit]).toEqual([0, 0]);
    expect(JSON.parse(listed.output)).toMatchObject([{ name: 'By file' }]);
    await database.drop();
  });

  it('that cannot be read ends with one line', async () => {
    mkdirSync(join(folder, '.env'));
    const { exit, output } = await npmRun('migrate');
    expect(exit).toBe(1);
    expect(output).toMatch(/^\.env cannot be read \(\w+\)\. Correct or remove it\.$/);
  });
});
