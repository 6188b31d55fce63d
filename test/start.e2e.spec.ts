import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Client } from 'pg';
import { postmasterPid, usePrograms } from './support/process';
import { cloneDatabase } from './support/world';

const SECRET = { SESSION_SECRET: 'x'.repeat(32) };
const READY = 'Ctrl-C stops the server';

jest.setTimeout(90_000);

const { newDataDir, run } = usePrograms();

/** What a person gets from pasting the lines that the start printed, one answer per curl line. */
async function paste(output: string) {
  const variables = Object.fromEntries(
    [...output.matchAll(/^([A-Z]+)=(\S+)$/gm)].map(([, name, value]) => [name, value]),
  );
  const answers = [];
  for (const [line] of output.matchAll(/^curl -s \S+ .*$/gm)) {
    const filled = line.replace(/\$([A-Z]+)/g, (_, name: string) => variables[name] ?? '');
    const headers = [...filled.matchAll(/-H ["']([^:]+): ([^"']+)["']/g)].map(
      ([, name = '', value = '']): [string, string] => [name, value],
    );
    const [, address = ''] = /^curl -s (\S+)/.exec(filled) ?? [];
    const [, body] = /-d '([^']+)'/.exec(filled) ?? [];
    const response = await fetch(address, { headers, ...(body && { method: 'POST', body }) });
    answers.push({ status: response.status, data: ((await response.json()) as { data: any }).data });
  }
  return answers;
}

const balances = (data: { currency_code: string; balance: number }[]) =>
  Object.fromEntries(data.map((row) => [row.currency_code, row.balance]));

describe('npm start on an empty folder', () => {
  it('prints curl lines that do the main job, keeps the data, and stops cleanly with its database', async () => {
    const env = { DATA_DIR: newDataDir() };
    const first = run('main', env);
    const output = await first.says(READY);
    const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(output) ?? [];
    const [code, claim, ada, grace, rewards] = await paste(output);
    expect(code).toMatchObject({ status: 200, data: { code: 'ADA-INVITES', current_uses: 0 } });
    expect(claim?.status).toBe(201);
    expect(balances(ada?.data)).toEqual({ coins: 100, gems: 50 });
    expect(balances(grace?.data)).toEqual({ coins: 300, gems: 25 });
    expect(rewards?.data.map(({ status }: { status: string }) => status)).toEqual([
      'granted',
      'granted',
      'granted',
    ]);
    expect((await fetch(`${url}/docs`)).status).toBe(200);

    first.kill('SIGINT');
    expect(await first.exit).toBe(0);
    expect(postmasterPid(env.DATA_DIR)).toBeUndefined();

    const second = run('main', env);
    const [again, refused, adaLater] = await paste(await second.says(READY));
    expect(again).toMatchObject({ status: 200, data: { current_uses: 1 } });
    expect(refused?.status).toBe(400);
    expect(balances(adaLater?.data)).toEqual({ coins: 100, gems: 50 });
    second.kill('SIGTERM');
    expect(await second.exit).toBe(0);
    expect(postmasterPid(env.DATA_DIR)).toBeUndefined();
  });

  it('adopts the database that a killed node left running, and recovers one that was killed too', async () => {
    const env = { DATA_DIR: newDataDir() };
    const first = run('main', env);
    await paste(await first.says(READY));
    const database = postmasterPid(env.DATA_DIR);
    first.kill('SIGKILL');
    expect(await first.exit).toBe('SIGKILL');
    expect(postmasterPid(env.DATA_DIR)).toBe(database);

    const second = run('main', env);
    const [code] = await paste(await second.says(READY));
    expect(code?.data.current_uses).toBe(1);
    expect(postmasterPid(env.DATA_DIR)).toBe(database);
    second.kill('SIGKILL');
    await second.exit;
    process.kill(database!, 'SIGKILL');

    const third = run('main', env);
    const [codeAfterCrash] = await paste(await third.says(READY));
    expect(codeAfterCrash?.data.current_uses).toBe(1);
    third.kill('SIGINT');
    expect(await third.exit).toBe(0);
  });

  it('belongs to one server at a time, also when two start at once; a command may join it', async () => {
    const env = { DATA_DIR: newDataDir() };
    const rivals = [run('main', env), run('main', env)];
    const winner = await Promise.any(rivals.map((rival) => rival.says(READY).then(() => rival)));
    const loser = rivals.find((rival) => rival !== winner)!;
    expect(await loser.exit).toBe(1);
    expect(loser.output.trim()).toBe(
      `The data folder ${env.DATA_DIR} is in use by another server. Stop that one, or set DATA_DIR to another folder.`,
    );
    const command = run('cli', env, '--json', 'project', 'create', '--name', 'Second');
    expect(await command.exit).toBe(0);
    expect(JSON.parse(command.output)).toMatchObject({
      name: 'Second',
      client_key: expect.stringMatching(/^amb_dev_ck_/),
    });
    expect((await paste(winner.output)).map(({ status }) => status)).toEqual([200, 201, 200, 200, 200]);
  });
});

describe('the data folder', () => {
  const currentUses = async (output: string) => (await paste(output))[0]?.data.current_uses;

  it('can be moved with its data, and an old place can be used anew without touching it', async () => {
    const place = newDataDir();
    const before = { DATA_DIR: join(place, 'a') };
    const first = run('main', before);
    await paste(await first.says(READY));
    first.kill('SIGINT');
    expect(await first.exit).toBe(0);

    renameSync(before.DATA_DIR, join(place, 'b'));
    const anew = run('main', before);
    expect(await currentUses(await anew.says(READY))).toBe(0);
    const moved = run('main', { DATA_DIR: join(place, 'b') });
    expect(await currentUses(await moved.says(READY))).toBe(1);
    for (const program of [anew, moved]) program.kill('SIGINT');
    expect([await anew.exit, await moved.exit]).toEqual([0, 0]);
  });

  it('gets its database back when that is killed under a running server, and Ctrl-C is clean at any time', async () => {
    const env = { DATA_DIR: newDataDir() };
    const server = run('main', env);
    const output = await server.says(READY);
    process.kill(postmasterPid(env.DATA_DIR)!, 'SIGKILL');
    let status = 503;
    for (let tries = 0; status !== 200 && tries < 200; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      status = (await fetch(`${/http:[^\s]+(?=\/docs)/.exec(output)?.[0]}/health/ready`)).status;
    }
    expect(status).toBe(200);
    expect((await paste(output)).map((answer) => answer.status)).toEqual([200, 201, 200, 200, 200]);
    process.kill(postmasterPid(env.DATA_DIR)!, 'SIGKILL');
    server.kill('SIGINT');
    expect(await server.exit).toBe(0);
    expect(server.output).toMatch(/Stopped\.\n$/);
  });

  it('with a damaged secret ends with one line', async () => {
    const env = { DATA_DIR: newDataDir() };
    for (const name of ['session-secret', 'postgres-password']) {
      writeFileSync(join(env.DATA_DIR, name), '');
      const program = run('main', env);
      expect(await program.exit).toBe(1);
      expect(program.output.trim()).toMatch(
        new RegExp(`^${join(env.DATA_DIR, name)} cannot be used \\(it is damaged\\)\\. .*$`),
      );
      rmSync(join(env.DATA_DIR, name));
    }
  });

  it('whose demo file names nothing in the database starts without the demo', async () => {
    const env = { DATA_DIR: newDataDir() };
    const nobody = '00000000-0000-4000-8000-000000000000';
    expect(await run('cli', env, 'project', 'create', '--name', 'Real').exit).toBe(0);
    writeFileSync(
      join(env.DATA_DIR, 'demo.json'),
      JSON.stringify({ projectId: nobody, clientKey: 'x', serverKey: 'x', adaId: nobody, graceId: nobody }),
    );
    const server = run('main', env);
    expect(await server.says('/docs')).not.toContain('curl');
    server.kill('SIGINT');
    expect(await server.exit).toBe(0);
  });
});

describe('what cannot work ends with one line and exit code 1', () => {
  const ends = async (env: Record<string, string>) => {
    const program = run('main', env);
    const exit = await program.exit;
    return { exit, output: program.output.trim() };
  };

  it('a taken port, without stopping anything', async () => {
    const env = { DATA_DIR: newDataDir() };
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve));
    const { port } = squatter.address() as AddressInfo;
    const ended = await ends({ ...env, PORT: String(port) });
    squatter.close();
    expect(ended).toEqual({
      exit: 1,
      output: `Port ${port} is taken. Stop what listens there, or start with another one: PORT=3001 npm start`,
    });
    expect(postmasterPid(env.DATA_DIR)).toBeUndefined();
  });

  it('a data folder that cannot be written', async () => {
    const dataDir = join(newDataDir(), 'file');
    writeFileSync(dataDir, 'not a folder');
    const { exit, output } = await ends({ DATA_DIR: dataDir });
    expect(exit).toBe(1);
    expect(output).toBe(
      `The data folder ${dataDir} cannot be written (EEXIST). Set DATA_DIR to a folder that this user owns.`,
    );
  });

  it('a data folder that belongs to somebody else', async () => {
    const dataDir = join(newDataDir(), 'locked');
    mkdirSync(dataDir);
    chmodSync(dataDir, 0o500);
    // root may write anywhere: there is nothing to refuse
    if (process.getuid?.() === 0) return;
    expect((await ends({ DATA_DIR: dataDir })).output).toContain('cannot be written (EACCES)');
  });

  it.each([
    ['a missing secret', { DATABASE_URL: 'postgres://localhost/x' }, 'SESSION_SECRET is missing'],
    ['a missing secret in production', { NODE_ENV: 'production' }, 'SESSION_SECRET is missing'],
    ['a URL without a database', { ...SECRET, DATABASE_URL: 'postgres://' }, 'DATABASE_URL is malformed'],
    ['a port that is none', { PORT: 'abc' }, 'PORT is not valid: must be a whole number from 0 to 65535'],
    [
      'an HTTP adapter that is none',
      { HTTP_ADAPTER: 'koa' },
      'HTTP_ADAPTER is not valid: must be express or fastify',
    ],
    ['no URL at all', { ...SECRET, DATABASE_URL: 'localhost:5432' }, 'DATABASE_URL is malformed'],
    [
      'a URL of another kind',
      { ...SECRET, DATABASE_URL: 'mysql://u:p@localhost/x' },
      'DATABASE_URL is malformed',
    ],
    [
      'a URL with a broken escape',
      { ...SECRET, DATABASE_URL: 'postgres://u:%zz@localhost/x' },
      'DATABASE_URL is malformed',
    ],
  ])('%s', async (_, env, message) => {
    const { exit, output } = await ends(env);
    expect(exit).toBe(1);
    expect(output).toMatch(new RegExp(`^${message}[^\\n]*$`));
  });

  it('a proxy that is none', async () => {
    const { exit, output } = await ends({ DATA_DIR: newDataDir(), TRUST_PROXY: 'somebody' });
    expect(exit).toBe(1);
    expect(output).toBe(
      'TRUST_PROXY is not valid: invalid IP address: somebody. Give the number of proxies in front, or their addresses.',
    );
  });

  it.each([
    [
      'a wrong password',
      (url: URL) => void (url.password = 'wrong'),
      /^The server at [\d.:a-z]+ refused user "\w+" \(.+\)\. Correct the user or password in DATABASE_URL\.$/,
    ],
    [
      'no such database',
      (url: URL) => void (url.pathname = '/nowhere'),
      /^The server at [\d.:a-z]+ has no database "nowhere"\. Create it \(createdb\), or correct DATABASE_URL\.$/,
    ],
  ])('%s', async (_, spoil, message) => {
    const database = await cloneDatabase();
    const url = new URL(database.url);
    spoil(url);
    const { exit, output } = await ends({ ...SECRET, DATABASE_URL: url.href });
    await database.drop();
    expect(exit).toBe(1);
    expect(output).toMatch(message);
  });

  it.each([
    [
      'a guard that is switched off',
      'ALTER TABLE balances DISABLE TRIGGER balances_within_max_balance',
      'balances_within_max_balance',
    ],
    ['an index that is gone', 'DROP INDEX refresh_tokens_one_live', 'refresh_tokens_one_live'],
    [
      'a guard that is gone',
      'ALTER TABLE referral_claims DROP CONSTRAINT referral_claims_once_per_user',
      'referral_claims_once_per_user',
    ],
    [
      'a guard that has its name and refuses nothing',
      `ALTER TABLE referral_claims DROP CONSTRAINT referral_claims_not_oneself,
         ADD CONSTRAINT referral_claims_not_oneself CHECK (true)`,
      'referral_claims_not_oneself',
    ],
  ])('%s', async (_, sabotage, guard) => {
    const database = await cloneDatabase();
    const client = new Client({ connectionString: database.url });
    await client.connect();
    await client.query(sabotage);
    await client.end();
    const { exit, output } = await ends({ ...SECRET, DATABASE_URL: database.url });
    await database.discard();
    expect(exit).toBe(1);
    expect(output).toMatch(new RegExp(`^The database lacks guards .*: ${guard}\\. Restore [^\\n]*$`));
  });

  it.each([
    ['a password that is refused', {}, 'refused user'],
    ['a URL that is malformed', { DATABASE_URL: 'postgres://ops:hunter2@' }, 'DATABASE_URL is malformed'],
    ['a URL of another kind', { DATABASE_URL: 'mysql://ops:hunter2@h/x' }, 'DATABASE_URL is malformed'],
    [
      'a host that is unknown',
      { DATABASE_URL: 'postgres://ops:hunter2@nowhere.invalid/x' },
      'nowhere.invalid',
    ],
    ['a secret that is short', { SESSION_SECRET: 'hunter2' }, 'SESSION_SECRET is not valid'],
  ])('and never says a password or a secret: %s', async (_, wrong, message) => {
    const database = await cloneDatabase();
    const url = new URL(database.url);
    url.password = 'hunter2';
    const { exit, output } = await ends({
      ...SECRET,
      DATABASE_WAIT_S: '0',
      DATABASE_URL: url.href,
      ...wrong,
    });
    await database.drop();
    expect(exit).toBe(1);
    expect(output).toContain(message);
    for (const secret of ['hunter2', SECRET.SESSION_SECRET]) expect(output).not.toContain(secret);
  });

  it('a server that stays down, after a line per try', async () => {
    const { exit, output } = await ends({
      ...SECRET,
      DATABASE_URL: 'postgres://u:p@127.0.0.1:9/x',
      DATABASE_WAIT_S: '2',
    });
    const lines = output.split('\n').filter((line) => line !== '');
    expect(exit).toBe(1);
    expect(lines[0]).toBe('Waiting for the database at 127.0.0.1:9: try 1, connect ECONNREFUSED 127.0.0.1:9');
    expect(lines.at(-1)).toBe(
      'The database at 127.0.0.1:9 did not answer within 2 s (connect ECONNREFUSED 127.0.0.1:9). Start it, correct DATABASE_URL, or raise DATABASE_WAIT_S.',
    );
    expect(output).not.toContain('u:p@');
  });
});

describe('with DATABASE_URL', () => {
  it('npm run migrate needs no secret, and finds nothing to do the second time', async () => {
    const database = await cloneDatabase({ empty: true });
    const env = { DATABASE_URL: database.url };
    const rivals = [run('migrate', env), run('migrate', env)];
    expect(await Promise.all(rivals.map((rival) => rival.exit))).toEqual([0, 0]);
    expect(rivals.map((rival) => rival.output.trim()).sort()).toEqual([
      expect.stringMatching(/^Migrated: InitialSchema\d+/),
      'The schema is up to date.',
    ]);
    await database.drop();
  });
});
