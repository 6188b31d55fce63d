import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** `scripts/audit.mjs`, which CI runs, against a registry that says what the test wants. */
let registry: Server | undefined;

/** npm remembers what it heard of an advisory. */
let cache: string;

beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'amba-npm-'));
});

afterEach(() => {
  registry?.close();
  rmSync(cache, { recursive: true, force: true });
});

async function registryThatSays(status: number, advisories: object): Promise<string> {
  registry = createServer((request, response) => {
    const isAudit = request.url?.endsWith('/security/advisories/bulk') ?? false;
    request.resume();
    response.statusCode = isAudit ? status : 404;
    response.end(JSON.stringify(isAudit ? advisories : {}));
  });
  await once(registry.listen(0, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${(registry.address() as AddressInfo).port}/`;
}

async function audit(url: string): Promise<{ exit: number; output: string }> {
  const script = spawn(process.execPath, [join(__dirname, '../scripts/audit.mjs')], {
    cwd: join(__dirname, '..'),
    env: { ...process.env, npm_config_cache: cache, npm_config_registry: url, npm_config_fetch_retries: '0' },
  });
  let output = '';
  for (const stream of [script.stdout, script.stderr])
    stream.on('data', (chunk) => (output += String(chunk)));
  const [exit] = (await once(script, 'close')) as [number];
  return { exit, output };
}

const advisory = (severity: string) => [
  { id: 1, url: 'https://example.com/1', title: 'A flaw', severity, vulnerable_versions: '<999' },
];

describe('the dependency audit', () => {
  it.each([
    [
      'critical',
      { jose: advisory('critical') },
      1,
      'critical: jose',
      '1 vulnerable packages, 1 of level high',
    ],
    ['high', { jose: advisory('high') }, 1, 'high: jose', '1 vulnerable packages, 1 of level high'],
    [
      'moderate',
      { jose: advisory('moderate') },
      0,
      'moderate: jose',
      '1 vulnerable packages, 0 of level high',
    ],
    ['none', {}, 0, 'Audited: 0 vulnerable packages', ''],
  ])('of a finding that is %s', async (_, advisories, exit, ...said) => {
    const audited = await audit(await registryThatSays(200, advisories));
    expect(audited.exit).toBe(exit);
    for (const part of said) expect(audited.output).toContain(part);
  });

  it('reads a report of any length', async () => {
    const [flaw] = advisory('critical');
    const long = [{ ...flaw, title: 'x'.repeat(1_100_000) }];
    const { exit, output } = await audit(await registryThatSays(200, { jose: long }));
    expect({ exit, output }).toMatchObject({ exit: 1, output: expect.stringContaining('critical: jose') });
  });

  it.each([
    ['refuses', () => registryThatSays(405, {})],
    ['is not there', () => Promise.resolve('http://127.0.0.1:9/')],
  ])('says that it was none where the registry %s, and does not fail', async (_, url) => {
    const { exit, output } = await audit(await url());
    expect(exit).toBe(0);
    expect(output).toContain('DEPENDENCIES NOT AUDITED: the registry gave no answer');
  });
});
