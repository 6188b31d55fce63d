import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readOptions } from './options';
import { render, toReport, wasFoundOut } from './report';
import { Run } from './run';

const say = (line: string) => process.stdout.write(`${line}\n`);

async function main(): Promise<boolean> {
  const { json, keep, expectLost, ...settings } = readOptions(process.argv.slice(2));
  say(
    `chaos: ${settings.seconds} s, seed ${settings.seed}, ${settings.apps} apps, ${settings.clients} clients`,
  );
  const run = new Run(settings, say);
  let isGood = false;
  try {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void abandon(run));
    const report = toReport(await run.execute());
    for (const file of [json, join(run.folder, 'report.json')]) {
      if (file !== undefined) writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
    }
    say(`\n${render(report)}\n`);
    isGood = expectLost ? wasFoundOut(report) : report.ok;
    say(verdict(isGood, expectLost));
    return isGood;
  } finally {
    await run.stop();
    if (isGood && !keep) run.remove();
    else
      say(
        `The database, the logs and what was acknowledged are kept in ${run.folder}. The same plan again: --seed ${settings.seed}`,
      );
  }
}

/** Whoever interrupts a run wants nothing of it. */
async function abandon(run: Run): Promise<never> {
  await run.stop().catch(() => undefined);
  run.remove();
  process.exit(130);
}

function verdict(isGood: boolean, expectLost: boolean): string {
  if (expectLost)
    return isGood ? 'OK: the lost rewards were found.' : 'FAILED: rewards should be lost, and nothing else.';
  return isGood ? 'OK' : 'FAILED: see above.';
}

// a reader of our output that goes away is no reason to stop
process.stdout.on('error', () => undefined);
main().then(
  (isGood) => process.exit(isGood ? 0 : 1),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  },
);
