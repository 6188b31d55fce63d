import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { postmasterPid, usePrograms } from './support/process';

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
});
