import { randomBytes } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { StartupError } from './startup-error';

export const SECRET_MIN_LENGTH = 32;

/** Creates the data folder if need be. @throws StartupError when it cannot be used */
export function ensureDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true });
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new StartupError(
      `The data folder ${dataDir} cannot be written (${(error as NodeJS.ErrnoException).code}). ` +
        'Set DATA_DIR to a folder that this user owns.',
      { cause: error },
    );
  }
}

/**
 * A secret that is made once and kept in the data folder, readable by its owner only. It appears whole or not at all,
 * and two first starts at once end up with the same one.
 *
 * @throws StartupError when the file is unreadable or damaged
 */
export function localSecret(dataDir: string, name: string): string {
  const file = join(dataDir, name);
  const draft = `${file}.${process.pid}`;
  try {
    if (!existsSync(file)) {
      writeFileSync(draft, randomBytes(48).toString('base64url'), { mode: 0o600 });
      linkSync(draft, file);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unusable(file, error);
  } finally {
    rmSync(draft, { force: true });
  }
  try {
    const secret = readFileSync(file, 'utf8');
    if (secret.length >= SECRET_MIN_LENGTH) return secret;
  } catch (error) {
    throw unusable(file, error);
  }
  throw unusable(file);
}

function unusable(file: string, cause?: unknown): StartupError {
  const reason = (cause as NodeJS.ErrnoException | undefined)?.code ?? 'it is damaged';
  return new StartupError(
    `${file} cannot be used (${reason}). Restore it, start as the user who owns it, or delete the data folder to begin anew.`,
    { cause },
  );
}
