import { chmodSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type QueryResultRow } from 'pg';
import { EmbeddedPostgres } from '../../src/database/embedded-postgres';

const SERVING_TIMEOUT_MS = 60_000;

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

  /** On a connection of its own, past every proxy. */
  async query<Row extends QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
    const client = new Client({ connectionString: this.url, connectionTimeoutMillis: 3_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return (await client.query<Row>(sql, values)).rows;
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
