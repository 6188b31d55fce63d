import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
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

describe('the README', () => {
  const readme = () => readFileSync(join(ROOT, 'README.md'), 'utf8');

  it('links to files that exist', () => {
    for (const [, path] of readme().matchAll(/\]\((?!https?:|#)([^)#]+)\)/g)) {
      expect(() => readFileSync(join(ROOT, path ?? ''))).not.toThrow();
    }
  });
});
