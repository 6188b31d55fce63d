import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Plain Node, no packages: this is what runs on a clone that has none yet. */

const root = join(import.meta.dirname, '..');
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

/** Installs what package-lock.json says when node_modules is missing or differs from it, and builds what has changed. */
export function prepare() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    fail(`Node ${process.versions.node} is too old. Use Node 20.19 or newer.`);
  }
  if (!isInstalled()) {
    process.stderr.write('Installing dependencies (once, about 45 s) …\n');
    // the compiler is a dev dependency, which NODE_ENV=production would leave out
    run(
      npm,
      ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'],
      'npm ci',
    );
  }
  if (!isBuilt())
    run(
      process.execPath,
      [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'tsconfig.build.json')],
      'npm run build',
    );
}

/** Whether npm's own record of node_modules agrees with the lock file. */
function isInstalled() {
  const record = readLock('node_modules/.package-lock.json');
  if (record === undefined) return false;
  const wanted = Object.entries(readLock('package-lock.json')).filter(([path]) => path !== '');
  return wanted.every(([path, { version, optional }]) =>
    record[path] === undefined
      ? optional === true
      : record[path].version === version && existsSync(join(root, path)),
  );
}

/** Whether nothing that is compiled has changed since the last build. */
function isBuilt() {
  const build = statSync(join(root, 'dist/.tsbuildinfo'), { throwIfNoEntry: false });
  if (build === undefined || !existsSync(join(root, 'dist/src/main.js'))) return false;
  const sources = ['src', 'migrations'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true }).map((name) => join(folder, name)),
  );
  const settings = ['ormconfig.ts', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'];
  return [...sources, ...settings].every((file) => statSync(join(root, file)).mtimeMs < build.mtimeMs);
}

function readLock(file) {
  const path = join(root, file);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : undefined;
}

function run(program, args, name) {
  try {
    // stdout belongs to the command that was asked for
    execFileSync(program, args, { cwd: root, stdio: ['ignore', 2, 2], shell: program.endsWith('.cmd') });
  } catch {
    fail(`"${name}" failed, see above. Correct that and start again.`);
  }
}

/** Ends with one line that says what to do. */
export function fail(message) {
  process.stderr.write(`\n${message}\n`);
  process.exit(1);
}
