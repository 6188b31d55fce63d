import { fail } from './prepare.mjs';

/** Takes settings from `.env` in the current folder, if there is one. What the environment says itself counts more. */
export function loadEnvFile() {
  try {
    process.loadEnvFile('.env');
  } catch (error) {
    if (error.code !== 'ENOENT') fail(`.env cannot be read (${error.code}). Correct or remove it.`);
  }
}
