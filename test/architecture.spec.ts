import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ERROR_CATALOGUE } from '../src/common/error-catalogue';

/** What the import rules of `.dependency-cruiser.cjs` cannot see. */

const ROOT = join(__dirname, '..');

const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({ file: join('src', file), text: readFileSync(join(ROOT, 'src', file), 'utf8') }));

const filesWith = (pattern: RegExp) =>
  sources.filter(({ text }) => pattern.test(text)).map(({ file }) => file);

describe('the house rules', () => {
  it.each<[string, RegExp, string[]]>([
    ['only config.ts reads the environment', /process\.env/, ['src/config.ts']],
    [
      'only transactions, shared reads and migrations open a query runner',
      /createQueryRunner/,
      ['src/common/transaction.ts', 'src/database/migrate.ts', 'src/database/shared-read.ts'],
    ],
    [
      'only transaction.ts begins and ends transactions',
      /startTransaction|commitTransaction|\.transaction\(/,
      ['src/common/transaction.ts'],
    ],
    [
      'only read-page.ts has TypeORM read and count',
      /findAndCount|getManyAndCount/,
      ['src/common/read-page.ts'],
    ],
    ['nothing is loaded or changed behind our back', /eager: true|synchronize: true|forwardRef/, []],
    ['nothing is silenced', /@ts-ignore|@ts-expect-error|eslint-disable|console\.log/, []],
    [
      'balances and the ledger are written in one place',
      /(INTO|UPDATE) (balances|currency_transactions)\b/,
      ['src/currency/ledger-statements.ts'],
    ],
    ['promises are written in one place', /(INTO|UPDATE) reward_grants\b/, ['src/rewards/reward-grants.ts']],
  ])('%s', (_, pattern, files) => {
    expect(filesWith(pattern)).toEqual(files);
  });

  it('migrations are listed in the order of their names', () => {
    const files = readdirSync(join(ROOT, 'migrations'))
      .filter((file) => /^\d+-/.test(file))
      .sort();
    const listed = [
      ...readFileSync(join(ROOT, 'migrations/index.ts'), 'utf8').matchAll(/from '\.\/(\d+-.+)'/g),
    ].map(([, name]) => `${name}.ts`);
    expect(listed).toEqual(files);
  });
});

describe('docs/errors.md', () => {
  it('lists exactly the codes of the catalogue, with their status, in order of status', () => {
    const table = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8');
    const documented = [...table.matchAll(/^\| `(\w+)` \| (\d+) \|/gm)].map(([, code, status]) => [
      code,
      Number(status),
    ]);
    expect(documented).toEqual(Object.entries(ERROR_CATALOGUE).map(([code, { status }]) => [code, status]));
  });
});

describe.each(['docs/threat-model.md', 'docs/reliability.md'])('%s', (name) => {
  const page = readFileSync(join(ROOT, name), 'utf8');

  it('names tests that are there', () => {
    const named = [...page.matchAll(/`(test\/[\w.-]+)`(?: "([^"]+)")?/g)];
    expect(named.length).toBeGreaterThan(30);
    for (const [, file = '', name = ''] of named) {
      // a pattern of `it.each` finds nothing when it is given to `-t`
      expect(name).not.toContain('%');
      const text = readFileSync(join(ROOT, file), 'utf8').replaceAll("\\'", "'");
      expect({ file, name, isThere: text.includes(name) }).toEqual({ file, name, isThere: true });
    }
  });
});

describe('the pages', () => {
  const pages = ['.', 'docs', 'docs/decisions', 'bench', 'client', 'test/chaos', 'test/releases'].flatMap(
    (folder) =>
      readdirSync(join(ROOT, folder))
        .filter((file) => file.endsWith('.md'))
        .map((file) => join(folder, file)),
  );
  const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
  const withoutCode = (text: string) => text.replace(/^ *```[^]*?^ *```$/gm, '');

  /** As GitHub makes them of headings. */
  const anchors = (path: string): string[] =>
    [...withoutCode(read(path)).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    );

  it.each(pages)('%s links to what is there', (page) => {
    for (const [, link = ''] of withoutCode(read(page)).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [path = '', anchor] = link.split('#', 2);
      const target = path === '' ? page : join(dirname(page), path);
      const isThere = existsSync(join(ROOT, target)) && (!anchor || anchors(target).includes(anchor));
      expect({ link, isThere }).toEqual({ link, isThere: true });
    }
  });

  it('docs/operations.md and the alerts name files and headings that are there', () => {
    const files = read('docs/operations.md').match(/(?<![\w/-])(deploy|monitoring)\/[\w./@-]+\w/g) ?? [];
    // deploy/compose/secrets is made by the page
    const given = files.filter((file) => file !== 'deploy/compose/secrets');
    expect(files.length).toBeGreaterThan(12);
    for (const file of given)
      expect({ file, isThere: existsSync(join(ROOT, file)) }).toEqual({ file, isThere: true });
    const headings = [...read('monitoring/alerts.yml').matchAll(/runbook_url: docs\/operations\.md#(\w+)/g)];
    expect(anchors('docs/operations.md')).toEqual(
      expect.arrayContaining(headings.map(([, anchor]) => anchor)),
    );
  });
});

describe('what a Debian server reads', () => {
  const read = (path: string) => readFileSync(join(ROOT, 'deploy', path), 'utf8');

  it('has the pooler of the containers, but for addresses', () => {
    const settings = (file: string) =>
      [...read(file).matchAll(/^(\w+) = (.*)$/gm)].filter(
        ([, name = '']) => !/^(amba|listen_addr|unix_socket_dir|auth_file|logfile|pidfile)$/.test(name),
      );
    expect(settings('debian/pgbouncer.ini').map(([line]) => line)).toEqual(
      settings('compose/pgbouncer.ini').map(([line]) => line),
    );
  });

  it('gives an instance longer to stop than it may take', () => {
    const [, seconds] = /^TimeoutStopSec=(\d+)$/m.exec(read('debian/amba@.service')) ?? [];
    // SHUTDOWN_DRAIN_S in production, and what a shutdown may take after it
    expect(Number(seconds)).toBeGreaterThanOrEqual(5 + 20);
  });
});
