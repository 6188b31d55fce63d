import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepare } from './prepare.mjs';

/** Writes the OpenAPI document and the TypeScript client that is generated from it into client/. */
prepare();
const root = join(import.meta.dirname, '..');
const node = (...args) =>
  execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8', maxBuffer: 1e8 });

writeFileSync(join(root, 'client/openapi.json'), node('dist/src/cli.js', 'openapi'));
process.stdout.write(
  node(
    'node_modules/@hey-api/openapi-ts/bin/run.js',
    '-i',
    './client/openapi.json',
    '-o',
    './client/generated',
  ),
);
