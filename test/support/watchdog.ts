import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

const WATCH = `
  const { existsSync, readFileSync, realpathSync, rmSync } = require('node:fs');
  const [parent, dataDir, pidFile] = [Number(process.argv[1]), process.argv[2], process.argv[3]];
  const home = realpathSync(dataDir + '/postgres');
  const end = (pid, signal) => { try { process.kill(Number(pid), signal); } catch {} };
  setInterval(() => {
    try { process.kill(parent, 0); } catch {
      if (existsSync(pidFile)) {
        for (const pid of readFileSync(pidFile, 'utf8').split('\\n')) if (pid) end(pid, 'SIGKILL');
      }
      try { end(readFileSync(home + '/data/postmaster.pid', 'utf8').split('\\n')[0], 'SIGQUIT'); } catch {}
      for (const folder of [home, dataDir]) rmSync(folder, { recursive: true, force: true });
      process.exit();
    }
  }, 1000);`;

/** Where a run writes the ids of the processes that it has running, one a line. */
export function pidFileOf(dataDir: string): string {
  return join(dataDir, 'pids');
}

/**
 * A killed run must not leave a server behind: a small process outlives us just long enough to end the PostgreSQL of
 * the data folder and the processes of `pidFileOf(dataDir)`, and to remove the folder.
 */
export function stopWhenWeAreKilled(dataDir: string): ChildProcess {
  const args = ['-e', WATCH, String(process.pid), dataDir, pidFileOf(dataDir)];
  const watchdog = spawn(process.execPath, args, { detached: true, stdio: 'ignore' });
  watchdog.unref();
  return watchdog;
}
