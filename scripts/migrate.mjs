import { loadEnvFile } from './env-file.mjs';
import { prepare } from './prepare.mjs';

prepare();
loadEnvFile();
await import('../dist/src/migrate.js');
