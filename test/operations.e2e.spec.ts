import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Likeness } from './support/likeness';
import { usePrograms } from './support/process';
import { Shell } from './support/shell';
import { cloneDatabase } from './support/world';

/** docs/operations.md, done as it says: in its order, on an empty production database, with nothing but HTTP. */
const page = readFileSync(join(__dirname, '../docs/operations.md'), 'utf8');
const SHOWN_URL = 'http://127.0.0.1:3000';
/** For what happens on its own, like a payment, a reader looks again. */
const PATIENCE_MS = 20_000;

const { run } = usePrograms();

interface Step {
  command: string;
  shown: string;
}

/** The lines of the page that are typed, each with the answer shown under it. What needs Docker or a cluster is marked `bash`. */
function stepsOf(markdown: string): Step[] {
  const blocks = [...markdown.matchAll(/^```(sh|console)\n([^]*?)^```$/gm)];
  return blocks.flatMap(([, language, text = '']) =>
    language === 'console'
      ? text
          .split(/^\$ /m)
          .slice(1)
          .map((part) => {
            const end = part.indexOf('\n');
            return { command: part.slice(0, end), shown: part.slice(end).trim() };
          })
      : text
          .trim()
          .split('\n')
          .map((command) => ({ command, shown: '' })),
  );
}

it('docs/operations.md does what it says', async () => {
  expect(page).toContain('export NODE_ENV=production\n');
  const database = await cloneDatabase({ empty: true });
  const env = {
    NODE_ENV: 'production',
    DATABASE_URL: database.url,
    SESSION_SECRET: 'a secret that only the tests know, 32+',
  };
  const server = run('main', env);
  try {
    const [url = ''] = /http:\/\/[\w.]+:\d+/.exec(await server.says('is ready')) ?? [];
    const [likeness, shell] = [new Likeness(), new Shell()];
    likeness.name(SHOWN_URL, url);
    const counts = { exported: 0, answers: 0, commandLines: 0 };

    for (const { command, shown } of stepsOf(page)) {
      const [exported] = /^export \w+(?==)/.exec(command) ?? [];
      if (exported !== undefined) {
        expect(Object.keys(env).map((name) => `export ${name}`)).toContain(exported);
        counts.exported += 1;
      } else if (command.startsWith('npm run -s cli -- ')) {
        const args = shell.words(command).slice('npm run -s cli --'.split(' ').length);
        const program = run('cli', env, ...args);
        expect({ command, exit: await program.exit, output: program.output }).toMatchObject({ exit: 0 });
        counts.commandLines += 1;
      } else if (command !== 'npm start') {
        counts.answers += (await perform(shell, likeness, { command, shown })) ? 1 : 0;
      }
    }
    const typed = (line: RegExp) => page.match(line)?.length;
    expect(counts).toEqual({
      exported: 3,
      answers: typed(/^\$ (admin|app|curl) /gm),
      commandLines: typed(/^npm run -s cli -- /gm),
    });
  } finally {
    server.kill('SIGKILL');
    await server.exit;
    await database.drop();
  }
}, 180_000);

/** @returns whether there was an answer, which was as shown */
async function perform(shell: Shell, likeness: Likeness, { command, shown }: Step): Promise<boolean> {
  const onlyReads = !/ -[Xd] /.test(command);
  const deadline = Date.now() + (onlyReads ? PATIENCE_MS : 0);
  for (;;) {
    const answer = await shell.run(likeness.translate(command));
    if (answer === undefined) {
      expect({ command, shown }).toEqual({ command, shown: '' });
      return false;
    }
    const difference = likeness.difference(shown, answer);
    if (difference === undefined) return true;
    if (Date.now() >= deadline) throw new Error(`docs/operations.md, after\n  $ ${command}\n${difference}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
