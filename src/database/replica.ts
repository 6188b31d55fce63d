import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource } from 'typeorm';

const POLL_MS = 10;

/** What the primary has committed by now, and which database it is. */
interface Mark {
  lsn: string;
  system: string;
  database: string;
}

interface Look {
  is_replica: boolean;
  is_caught_up: boolean;
}

const MARK = `
  SELECT pg_current_wal_flush_lsn()::text AS lsn, system_identifier::text AS system, current_database() AS database
    FROM pg_control_system()`;
const LOOK = `
  SELECT pg_is_in_recovery() AND system_identifier::text = $2 AND current_database() = $3 AS is_replica,
         coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false) AS is_caught_up
    FROM pg_control_system()`;

/**
 * A physical standby of the primary, with a pool of its own of the same size. Its URL leads to one server: what is seen of it
 * on one connection holds on the next.
 */
export class Replica {
  private connecting: Promise<DataSource> | undefined;

  constructor(
    private readonly primary: DataSource,
    private readonly url: string,
  ) {}

  /**
   * The replica, once it has replayed what the primary has committed by the time of the call.
   *
   * @throws Error when it has not within `patienceMs`, cannot be reached, or is no standby of this database
   */
  async caughtUp(patienceMs: number): Promise<DataSource> {
    const [replica, mark] = await Promise.all([this.connect(), this.mark()]);
    for (const end = Date.now() + patienceMs; ; await sleep(POLL_MS)) {
      const { is_caught_up } = await look(replica, mark);
      if (is_caught_up) return replica;
      if (Date.now() >= end) throw new Error(`It is more than ${patienceMs} ms behind.`);
    }
  }

  async close(): Promise<void> {
    const replica = await this.connecting?.catch(() => undefined);
    this.connecting = undefined;
    await replica?.destroy();
  }

  /** A start does not wait for a replica, and one that was down is tried again. */
  private connect(): Promise<DataSource> {
    this.connecting ??= new DataSource({ ...this.primary.options, url: this.url } as DataSource['options'])
      .initialize()
      .catch((error: unknown) => {
        this.connecting = undefined;
        throw error;
      });
    return this.connecting;
  }

  private async mark(): Promise<Mark> {
    const [mark] = await this.primary.query<[Mark]>(MARK);
    return mark;
  }
}

async function look(replica: DataSource, { lsn, system, database }: Mark): Promise<Look> {
  const [found] = await replica.query<[Look]>(LOOK, [lsn, system, database]);
  if (!found.is_replica)
    throw new Error('DATABASE_REPLICA_URL leads to no standby of the database of DATABASE_URL.');
  return found;
}
