import { spawnSync } from 'node:child_process';

/**
 * Fails when a package that the server runs with has a known vulnerability of this level or above (`npm audit`: low,
 * moderate, high, critical). Where the registry cannot be asked nothing is known: that is said, and is no failure, so that a
 * build without network stays possible. Plain Node, no packages.
 */
const LEVEL = 'high';
const LEVELS = ['low', 'moderate', 'high', 'critical'];
const TIMEOUT_MS = 60_000;

const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
const { stdout, error } = spawnSync(npm, ['audit', '--omit=dev', '--json'], {
  encoding: 'utf8',
  timeout: TIMEOUT_MS,
  // a report that is cut off at the default of 1 MB would be taken for none
  maxBuffer: Infinity,
  shell: npm.endsWith('.cmd'),
});
const report = parse(stdout);

if (report?.vulnerabilities === undefined) {
  const reason = error?.message ?? report?.message ?? report?.error?.summary ?? 'no report';
  process.stderr.write(`\nDEPENDENCIES NOT AUDITED: the registry gave no answer (${reason}).\n\n`);
} else {
  const found = Object.values(report.vulnerabilities);
  const grave = found.filter(({ severity }) => LEVELS.indexOf(severity) >= LEVELS.indexOf(LEVEL));
  for (const { name, severity, range } of found) process.stdout.write(`${severity}: ${name} ${range}\n`);
  process.stdout.write(
    `Audited: ${found.length} vulnerable packages, ${grave.length} of level ${LEVEL} or above.\n`,
  );
  if (grave.length > 0) process.exit(1);
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
