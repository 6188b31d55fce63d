import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { ensureDataDir, localSecret } from '../common/data-dir';
import { StartupError } from '../common/startup-error';
import { findInstallation, type Installation } from './embedded-binaries';
import { initialize, isRunning, start, startOrJoin, stop, urlOf } from './embedded-cluster';

/** Held by the serving process for as long as it lives, so that two servers never share one data folder. */
const SERVER_LOCK = 4_826_310_958;
const RECOVERY_INTERVAL_MS = 1_000;

/** A server claims the database for itself; a command beside it joins it as a guest. */
export type Role = 'server' | 'command';

interface EmbeddedOptions {
  /** For tests: the data need not survive a crash, and is removed at the end. */
  throwaway?: boolean;
}

/**
 * A real PostgreSQL, shipped as an npm package, that keeps its data in the data folder and listens on loopback.
 *
 * A server left behind by a killed process is adopted; one that was killed itself recovers as it starts.
 */
export class EmbeddedPostgres {
  private serverLock?: Client;
  private closing = false;

  private constructor(
    readonly url: string,
    private readonly installation: Installation,
    private readonly how: { role: Role; startedHere: boolean; throwaway: boolean },
  ) {}

  /**
   * Starts the database of the data folder, or joins it when it is running.
   *
   * @throws StartupError when it cannot be started, or (as `server`) when another server has it
   */
  static async open(
    dataDir: string,
    role: Role,
    { throwaway = false }: EmbeddedOptions = {},
  ): Promise<EmbeddedPostgres> {
    ensureDataDir(dataDir);
    const installation = findInstallation(dataDir);
    const password = localSecret(dataDir, 'postgres-password');
    await initialize(installation, password, throwaway);
    const { port, startedHere } = await startOrJoin(installation, password);
    const postgres = new EmbeddedPostgres(urlOf(port, password), installation, {
      role,
      startedHere,
      throwaway,
    });
    if (role === 'server' && !(await postgres.takeServerLock())) {
      throw new StartupError(
        `The data folder ${dataDir} is in use by another server. Stop that one, or set DATA_DIR to another folder.`,
      );
    }
    return postgres;
  }

  /** A server stops its database; a command stops it only if it started it and no server has come since. */
  async close(): Promise<void> {
    this.closing = true;
    const { role, startedHere, throwaway } = this.how;
    const mayStop =
      this.serverLock !== undefined || (role === 'command' && startedHere && (await this.takeServerLock()));
    if (mayStop && isRunning(this.installation)) {
      // Smart, for a command: others that joined meanwhile finish first. The lock is held until no server can come in.
      await stop(this.installation, role === 'server' ? 'fast' : 'smart', '-W').catch(() => undefined);
      await this.serverLock?.end().catch(() => undefined);
      if (isRunning(this.installation)) await stop(this.installation, 'fast', '-w').catch(() => undefined);
    }
    await this.serverLock?.end().catch(() => undefined);
    if (throwaway) rmSync(this.installation.home, { recursive: true, force: true });
  }

  private async takeServerLock(): Promise<boolean> {
    const client = new Client({ connectionString: this.url });
    client.on('error', () => undefined);
    await client.connect();
    const { rows } = await client.query<{ taken: boolean }>('SELECT pg_try_advisory_lock($1) AS taken', [
      SERVER_LOCK,
    ]);
    if (rows[0]?.taken !== true) {
      await client.end();
      return false;
    }
    this.serverLock = client;
    client.on('end', () => void this.recover());
    return true;
  }

  /**
   * The database went away under us, and the lock with it: starts it again at the same address, which the pool knows.
   * Whoever has the lock by then is its server, and the one to stop it.
   */
  private async recover(): Promise<void> {
    this.serverLock = undefined;
    while (!this.closing && this.serverLock === undefined) {
      await sleep(RECOVERY_INTERVAL_MS, undefined, { ref: false });
      if (this.closing || (await this.takeServerLock().catch(() => undefined)) !== undefined) return;
      await start(this.installation, Number(new URL(this.url).port)).catch(() => undefined);
    }
  }
}
