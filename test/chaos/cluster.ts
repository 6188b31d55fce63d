import { chmodSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type QueryResultRow } from 'pg';
import { EmbeddedPostgres } from '../../src/database/embedded-postgres';

const SERVING_TIMEOUT_MS = 60_000;
/** How often a statement is cancelled before anybody looks whether it was: about a millisecond of it. */
const STORM = 500;
/** A link that went silent goes on owing an answer. */
const MAX_STORMS = 200;
const CANCEL = 'SELECT count(pg_cancel_backend($1)) FROM generate_series(1, $2)';
const CANCEL_BUSY = `
  SELECT pid FROM (SELECT pid, row_number() OVER (ORDER BY pid) - 1 AS no, count(*) OVER () AS all
                     FROM pg_stat_activity WHERE pid = ANY ($1) AND state = 'active') AS busy
   WHERE no = $2 % busy.all AND pg_cancel_backend(pid)`;

/** A folder that the account of PostgreSQL may enter too. */
export function makeRunFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'amba-chaos-'));
  chmodSync(folder, 0o755);
  return folder;
}

/** The PostgreSQL of a run, durable as in production. It starts again by itself after its postmaster was killed. */
export class Cluster {
  private readonly killed = new Set<number>();

  private constructor(
    private readonly folder: string,
    private readonly embedded: EmbeddedPostgres,
  ) {}

  static async start(folder: string): Promise<Cluster> {
    return new Cluster(folder, await EmbeddedPostgres.open(folder, 'server'));
  }

  get url(): string {
    return this.embedded.url;
  }

  /** With `kill -9`. @returns false when it was down anyway */
  killPostmaster(): boolean {
    const [pid, , , , , , , status] = this.lockFile();
    if (status?.trim() !== 'ready' || this.killed.has(Number(pid))) return false;
    this.killed.add(Number(pid));
    process.kill(Number(pid), 'SIGKILL');
    return true;
  }

  /** With `pg_terminate_backend`. @returns false when it was gone, or nobody could be asked */
  async terminateBackend(pid: number): Promise<boolean> {
    const sql = 'SELECT pg_terminate_backend($1) AS "isSent"';
    const [answer] = await this.query<{ isSent: boolean }>(sql, [pid]).catch(() => []);
    return answer?.isSent ?? false;
  }

  /**
   * With `pg_cancel_backend`, again and again, from when `go` sets something going: nobody can aim at what runs for some
   * microseconds, and a process that waits to be asked takes no notice.
   */
  async cancelWhile(pid: number, isUnderWay: () => boolean, go: () => void): Promise<void> {
    await this.connected(async (client) => {
      // the first time it would come too late
      await client.query(CANCEL, [pid, 0]);
      const storm = client.query(CANCEL, [pid, STORM]);
      go();
      await storm;
      for (let storms = 1; storms < MAX_STORMS && isUnderWay(); storms += 1) {
        await client.query(CANCEL, [pid, STORM]);
      }
    }).catch(() => undefined);
  }

  /** With `pg_cancel_backend`, one of these that are busy. @returns which; undefined when none is, or nobody could be asked */
  async cancelBusy(pids: number[], which: number): Promise<number | undefined> {
    const [answer] = await this.query<{ pid: number }>(CANCEL_BUSY, [pids, which]).catch(() => []);
    return answer?.pid;
  }

  /** On a connection of its own, past every proxy. */
  query<Row extends QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
    return this.connected(async (client) => (await client.query<Row>(sql, values)).rows);
  }

  private async connected<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const client = new Client({ connectionString: this.url, connectionTimeoutMillis: 3_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await work(client);
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async untilServing(): Promise<void> {
    for (const deadline = Date.now() + SERVING_TIMEOUT_MS; ; await sleep(100)) {
      try {
        await this.query('SELECT 1');
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
      }
    }
  }

  stop(): Promise<void> {
    return this.embedded.close();
  }

  /** After `stop`. The data may be a link to elsewhere. */
  remove(): void {
    const home = realpathSync(join(this.folder, 'postgres'));
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  }

  private lockFile(): string[] {
    try {
      return readFileSync(join(this.folder, 'postgres/data/postmaster.pid'), 'utf8').split('\n');
    } catch {
      return [];
    }
  }
}
