import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { postmasterPid, usePrograms } from './support/process';
import { cloneDatabase } from './support/world';

const { newDataDir, run } = usePrograms();

jest.setTimeout(90_000);

describe('npm run cli', () => {
  it('sets up a project from nothing, and what it printed works', async () => {
    const env = { DATA_DIR: newDataDir() };
    const cli = async (...args: string[]) => {
      const program = run('cli', env, '--json', ...args);
      const exit = await program.exit;
      return {
        exit,
        output: program.output.trim(),
        data: exit === 0 ? JSON.parse(program.output) : undefined,
      };
    };
    const { data: project } = await cli(
      'project',
      'create',
      '--name',
      'Game',
      '--environment',
      'production',
      '--code-length',
      '6',
      '--max-claims-per-user',
      '1',
    );
    const on = ['--project', project.id];
    await cli('currency', 'create', ...on, '--code', 'gems', '--name', 'Gems', '--max-balance', '10');
    const { data: template } = await cli(
      'code',
      'create',
      ...on,
      '--code',
      'HELLO',
      '--reward-referee',
      '{"gems": 25}',
      '--max-uses',
      '3',
    );
    expect(template).toMatchObject({
      code: 'HELLO',
      reward_referee: { gems: 25 },
      max_uses: 3,
      app_user_id: null,
    });
    const { data: user } = await cli('user', 'create', ...on, '--external-id', 'ada');
    const { data: session } = await cli('session', 'create', ...on, '--user', user.id);
    const { data: key } = await cli(
      'key',
      'create',
      ...on,
      '--type',
      'client',
      '--environment',
      'production',
    );
    expect(key.key).toMatch(/^amb_live_ck_/);

    expect((await cli('user', 'create', ...on, '--external-id', 'ada')).output).toMatch(/^USER_EXISTS: /);
    expect((await cli('code', 'create', ...on, '--code', 'hello')).output).toMatch(/^CODE_EXISTS: /);
    expect((await cli('code', 'create', ...on, '--reward-referee', '{"gold": 1}')).output).toBe(
      'INVALID_REWARD: This project has no currency "gold".',
    );
    expect((await cli('currency', 'create', ...on, '--code', '1', '--name', 'One')).output).toMatch(
      /^INVALID_INPUT: .*currencies_code_format/,
    );
    expect(await cli('currency', 'delete', ...on, '--code', 'gold')).toMatchObject({
      exit: 1,
      output: 'NOT_FOUND: There is no currency gold.',
    });
    expect(postmasterPid(env.DATA_DIR)).toBeUndefined();

    const server = run('main', env);
    const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(await server.says('is ready')) ?? [];
    const headers = {
      'x-api-key': key.key,
      authorization: `Bearer ${session.session_token}`,
      'content-type': 'application/json',
    };
    const claim = await fetch(`${url}/v1/client/referrals/claim`, {
      method: 'POST',
      headers,
      body: '{"code":"hello"}',
    });
    expect(claim.status).toBe(201);
    expect(((await claim.json()) as any).data.rewards).toEqual([
      { currency_code: 'gems', amount: 25, granted: 10, status: 'granted' },
    ]);
    expect(existsSync(join(env.DATA_DIR, 'demo.json'))).toBe(false);
  });

  it('shows, cancels and replays promised rewards, and says whether the totals agree', async () => {
    const env = { DATA_DIR: newDataDir() };
    const text = async (...args: string[]) => {
      const program = run('cli', env, '--json', ...args);
      await program.exit;
      return program.output.trim();
    };
    const cli = async (...args: string[]) => JSON.parse(await text(...args));
    const { id: project, client_key } = await cli('project', 'create', '--name', 'Game');
    const server = run('main', env);
    const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(await server.says('is ready')) ?? [];
    const on = ['--project', project];
    await text('currency', 'create', ...on, '--code', 'gems', '--name', 'Gems');
    await text('code', 'create', ...on, '--code', 'HELLO', '--reward-referee', '{"gems": 25}');
    const { id: user } = await cli('user', 'create', ...on);
    const { session_token } = await cli('session', 'create', ...on, '--user', user);
    await text('currency', 'delete', ...on, '--code', 'gems');
    const claim = await fetch(`${url}/v1/client/referrals/claim`, {
      method: 'POST',
      headers: {
        'x-api-key': client_key,
        authorization: `Bearer ${session_token}`,
        'content-type': 'application/json',
      },
      body: '{"code":"HELLO"}',
    });
    expect(claim.status).toBe(201);

    const [{ id }] = await cli('grants', 'list', ...on, '--status', 'pending');
    const one = [...on, '--id', id];
    expect(await text('grants', 'replay', ...one)).toMatch(/^NOT_REPLAYABLE: /);
    expect(await text('grants', 'replay', ...on)).toBe('Give --id or --status.');
    expect(await text('grants', 'cancel', ...one, '--reason', ' ')).toMatch(/1 to 500 characters/);
    expect(await cli('grants', 'cancel', ...one, '--reason', 'Fraud?')).toMatchObject({
      ...{ id, status: 'cancelled', last_error: 'Fraud?' },
    });
    expect(await text('grants', 'cancel', ...one, '--reason', 'Fraud?')).toMatch(/^NOT_CANCELLABLE: /);
    await text('currency', 'create', ...on, '--code', 'gems', '--name', 'Gems');
    expect(await cli('grants', 'replay', ...one)).toMatchObject({ id, status: 'granted', granted: 25 });
    expect(await cli('grants', 'replay', ...on, '--status', 'dead')).toEqual({ replayed: 0, refused: [] });
    expect(await cli('grants', 'list', ...on, '--status', 'cancelled')).toEqual([]);
    expect(await cli('reconcile', ...on)).toMatchObject({
      agrees: true,
      currencies: [{ currency_code: 'gems', balances: { users: 1, sum: 25 } }],
    });
  });

  it('integrity tells of a guard that is gone, and of what that let in, where nothing else starts', async () => {
    const database = await cloneDatabase();
    const client = new Client({ connectionString: database.url });
    await client.connect();
    await client.query('ALTER TABLE referral_codes DROP CONSTRAINT referral_codes_code_format');
    await client.end();
    const env = { DATABASE_URL: database.url, SESSION_SECRET: 'x'.repeat(32) };
    const other = run('cli', env, 'project', 'list');
    expect(await other.exit).toBe(1);
    expect(other.output).toContain('The database lacks guards');
    const program = run('cli', env, '--json', 'integrity');
    expect(await program.exit).toBe(1);
    const broken = JSON.parse(program.output).filter(({ ok }: { ok: boolean }) => !ok);
    expect(broken).toMatchObject([{ name: 'guards_armed', rows: [{ guard: 'referral_codes_code_format' }] }]);
    await database.discard();
  });
});
