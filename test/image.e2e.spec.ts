import { DockerfileParser, type Cmd, type Copy, type Dockerfile } from 'dockerfile-ast';
import { validate } from 'dockerfile-utils';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './support/pgbouncer';
import { Program } from './support/process';
import { cloneDatabase } from './support/world';

/** The Dockerfile, by what it says and by what it starts. `npm run build` comes first. */

const ROOT = join(__dirname, '..');
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const SERVER = read('Dockerfile');
const POOLER = read('deploy/compose/pgbouncer/Dockerfile');
const SECRET = 'a secret that only the tests know, 32+';

jest.setTimeout(90_000);

const parse = (text: string): Dockerfile => DockerfileParser.parse(text);
const argumentsOf = (instruction: { getArguments(): { getValue(): string }[] }) =>
  instruction.getArguments().map((argument) => argument.getValue());
const strings = (instruction?: { getJSONStrings(): { getJSONValue(): string }[] }) =>
  instruction?.getJSONStrings().map((text) => text.getJSONValue()) ?? [];
const last = <T>(list: T[]) => list[list.length - 1];

/** What is sent to the builder: `.dockerignore` shuts everything out and lets these back in. */
const context = read('.dockerignore').trim().split('\n');

describe.each([
  ['Dockerfile', SERVER],
  ['deploy/compose/pgbouncer/Dockerfile', POOLER],
])('%s', (_, text) => {
  it('gives a linter nothing to say, which finds what is wrong', () => {
    const faults = (content: string) => validate(content).map(({ message }) => message);
    expect(faults(text)).toEqual([]);
    expect(faults(text.replace(/^USER/m, 'USR'))).toEqual(['Unknown instruction: USR']);
    expect(faults(`${text}CMD ["node"]\n`)).toEqual([expect.stringMatching(/only be one CMD/)]);
  });

  it('begins with a version, and ends as a user who is not root by number', () => {
    for (const from of parse(text).getFROMs()) expect(from.getImage()).toMatch(/^[a-z]+:\d+-trixie(-slim)?$/);
    const users = parse(text)
      .getInstructions()
      .filter((instruction) => instruction.getKeyword() === 'USER');
    expect(last(users)?.getArgumentsContent()).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  });
});

describe('the image', () => {
  const dockerfile = parse(SERVER);

  it('is built of what .dockerignore lets through, and of nothing else', () => {
    const [all, ...kept] = context;
    expect(all).toBe('*');
    const copied = dockerfile
      .getCOPYs()
      .filter((copy: Copy) => copy.getFlags().length === 0)
      .flatMap((copy: Copy) => argumentsOf(copy).slice(0, -1));
    expect(copied.sort()).toEqual(kept.map((line) => line.slice(1)).sort());
    for (const file of copied)
      expect({ file, isThere: existsSync(join(ROOT, file)) }).toEqual({ file, isThere: true });
  });

  it('is marked with the version of package.json', () => {
    const labels = SERVER.matchAll(/org\.opencontainers\.image\.(\w+)="([^"]*)"/g);
    const { version, description, license } = JSON.parse(read('package.json')) as Record<string, string>;
    expect(Object.fromEntries(Array.from(labels, ([, name, value]) => [name, value]))).toEqual({
      ...{ title: 'Amba Referrals', version, description, licenses: license },
    });
  });
});

/** The folder /app, of which nothing can be written. `IMAGE_APP=folder` takes one that was made as the Dockerfile does. */
function layOut(): string {
  const folder = mkdtempSync(join(tmpdir(), 'amba-app-'));
  const app = process.env.IMAGE_APP ?? ROOT;
  cpSync(join(app, 'dist'), join(folder, 'dist'), { recursive: true });
  cpSync(join(app, 'package.json'), join(folder, 'package.json'));
  for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
    chmodSync(join(folder, entry), lstatSync(join(folder, entry)).isDirectory() ? 0o555 : 0o444);
  // after that: the modes of what it leads to are not ours to change
  symlinkSync(join(app, 'node_modules'), join(folder, 'node_modules'));
  chmodSync(folder, 0o555);
  return folder;
}

/** Removes what nobody may write. */
function remove(folder: string): void {
  chmodSync(folder, 0o755);
  unlinkSync(join(folder, 'node_modules'));
  for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
    if (lstatSync(join(folder, entry)).isDirectory()) chmodSync(join(folder, entry), 0o755);
  rmSync(folder, { recursive: true });
}

describe('what the image starts, as its user and where nothing can be written', () => {
  const dockerfile = parse(SERVER);
  const user = Number(/^USER (\d+)/m.exec(SERVER)?.[1]);
  const place = { folder: '', uid: process.getuid?.() === 0 ? user : undefined };
  let secrets: string;

  beforeAll(() => {
    place.folder = layOut();
    secrets = mkdtempSync(join(tmpdir(), 'amba-run-secrets-'));
    chmodSync(secrets, 0o755);
  });
  afterAll(() => {
    remove(place.folder);
    rmSync(secrets, { recursive: true });
  });

  const secret = (name: string, content: string) => {
    const path = join(secrets, name);
    writeFileSync(path, `${content}\n`);
    return path;
  };

  it('migrates, serves, is healthy when it is ready, and ends with 0 on SIGTERM', async () => {
    const database = await cloneDatabase({ empty: true });
    const port = await freePort();
    const [, image = ''] = /^ENV (.*)$/m.exec(SERVER) ?? [];
    const env = {
      ...Object.fromEntries(image.split(' ').map((pair) => pair.split('=') as [string, string])),
      ...{ HOST: '127.0.0.1', PORT: String(port), HOME: place.folder, TMPDIR: place.folder },
      ...{ DATABASE_URL_FILE: secret('url', database.url), SESSION_SECRET_FILE: secret('session', SECRET) },
      SHUTDOWN_DRAIN_S: '1',
    };
    expect(env).toMatchObject({ NODE_ENV: 'production' });
    const [, probe = ''] = /^HEALTHCHECK [^]*?(CMD .*)$/m.exec(SERVER) ?? [];
    const [node, ...check] = strings(parse(probe).getCMDs()[0]);
    expect(node).toBe('node');
    const { folder: cwd, uid } = place;
    const health = () => spawnSync(process.execPath, check, { env, cwd, uid, gid: uid }).status;

    const migrate = new Program('migrate', env, [], place);
    expect({ exit: await migrate.exit, output: migrate.output }).toEqual({
      ...{ exit: 0, output: expect.stringMatching(/^Migrated: Init/) },
    });
    expect(health()).toBe(1);
    expect(strings(last(dockerfile.getCMDs()) as Cmd)).toEqual(['node', 'dist/src/main.js']);
    const server = new Program('main', env, [], place);
    try {
      await server.says('is ready');
      expect(health()).toBe(0);
      const cli = new Program('cli', env, ['--json', 'project', 'create', '--name', 'My game'], place);
      expect({ exit: await cli.exit, project: JSON.parse(cli.output) }).toMatchObject({
        ...{ exit: 0, project: { name: 'My game' } },
      });
      server.kill('SIGTERM');
      await server.says('stopping');
      expect(health()).toBe(1);
      expect(await server.exit).toBe(0);
    } finally {
      server.kill('SIGKILL');
    }
    expect(server.output).toMatch(/"msg":"Stopped\."}\n$/);
    await database.drop();
  });
});
