import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stopAll } from './programs.mjs';

/**
 * Works in a temporary folder. At the end, also of a run that fails or is interrupted, the programs of the measurement
 * are stopped, then what `work` named to `atEnd`, the last first, and the folder is removed.
 */
export async function withTemporaryFolder(work) {
  const folder = mkdtempSync(join(tmpdir(), 'amba-bench-'));
  // PostgreSQL may have to run under another account, which must find its way in
  chmodSync(folder, 0o755);
  const closers = [];
  let closed;
  const close = () => (closed ??= closeAll(folder, closers));
  const onSignal = () => void close().finally(() => process.exit(1));
  const signals = ['SIGINT', 'SIGTERM'];
  for (const signal of signals) process.once(signal, onSignal);
  try {
    return await work(folder, (closer) => closers.unshift(closer));
  } finally {
    await close();
    for (const signal of signals) process.off(signal, onSignal);
  }
}

async function closeAll(folder, closers) {
  await stopAll();
  for (const closer of closers) await closer();
  rmSync(folder, { recursive: true, force: true });
}
