import { Command, InvalidArgumentError, Option } from 'commander';
import { CASES } from './cases.mjs';

/** In seconds, before the first round of a case: the first tells how fast it is about, whatever compiles does so in the last. */
const FIRST_WARM_UPS = [1, 4];
const QUICK = { rounds: 1, seconds: 1, warmUp: 0.5, firstWarmUps: [0.5] };

const READING = `
Every case alternates between the floor and the server, round after round; a ratio is the median over the rounds of
server to floor. With --scale and --soak the server alone is measured. bench/README.md says how to read the figures. It
needs nothing but what npm ci installs, brings its own PostgreSQL, which is durable (fsync on), and cleans up.

The exit code is 1 when an answer is wrong, a row breaks an invariant, or, with --assert-targets, a target is missed.`;

/** What was asked for on the command line. */
export function readOptions(argv) {
  const { quick, ...options } = new Command('npm run bench --')
    .description('Measures the server beside a floor that does the same work on node:http and pg alone.')
    .option('--rounds <n>', 'rounds of each case', wholeNumber(1, 1000), 5)
    .option('--seconds <n>', 'how long a slice is measured', wholeNumber(1, 3600), 4)
    .option('--warm-up <n>', 'seconds before each slice', wholeNumber(1, 3600), 1)
    .option('--cases <names>', `some of ${Object.keys(CASES).join(',')}`, caseNames, Object.keys(CASES))
    .option('--connections <n>', 'connections that ask at once', wholeNumber(1, 1000), 16)
    .option('--adapter <name>', 'express, fastify or both', adapterNames, ['express'])
    .option('--scale', 'an almost empty project beside one that has grown, instead of the floor', false)
    .addOption(
      new Option('--soak', 'cold starts, idle memory, and a day at half the rate that it can do').conflicts([
        'scale',
        'profile',
      ]),
    )
    .option('--minutes <n>', 'with --soak: how long the day is', wholeNumber(1, 10_000), 10)
    .option(
      '--rows <n>',
      'with --scale: how many users it has, codes and claims',
      wholeNumber(1_000, 10_000_000),
      1_000_000,
    )
    .addOption(
      new Option(
        '--profile <folder>',
        'write CPU profiles of the servers there, and show where the time goes',
      ).conflicts('scale'),
    )
    .option('--quick', 'one round of one second: whether it works', false)
    .option('--json', 'print JSON instead of tables', false)
    .option('--assert-targets', 'fail when a target is missed', false)
    .addHelpText('after', READING)
    .parse(argv, { from: 'user' })
    .opts();
  const { adapter: adapters, ...rest } = options;
  return { ...rest, adapters, firstWarmUps: FIRST_WARM_UPS, ...(quick && QUICK) };
}

function caseNames(text) {
  const names = text.split(',');
  const unknown = names.find((name) => CASES[name] === undefined);
  if (unknown !== undefined) throw new InvalidArgumentError(`There is no case ${unknown}.`);
  return names;
}

function adapterNames(text) {
  if (text === 'both') return ['express', 'fastify'];
  if (text !== 'express' && text !== 'fastify')
    throw new InvalidArgumentError('Give express, fastify or both.');
  return [text];
}

function wholeNumber(min, max) {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}
