import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource } from 'typeorm';

const POLL_MS = 10;

/** What the primary has committed by now, and which database it is. */
interface Mark {
  lsn: string;
  /** Another one after each failover: a position in the log says nothing on another timeline. */
  timeline: string;
  system: string;
  database: string;
}

interface Look {
  is_replica: boolean;
  is_on_timeline: boolean;
  is_caught_up: boolean;
}

const MARK = `
  SELECT lsn::text, left(pg_walfile_name(lsn), 8) AS timeline, system_identifier::text AS system, current_database() AS database
    FROM pg_control_system(), pg_current_wal_flush_lsn() AS lsn`;
/** A standby notes the timeline when it has replayed a checkpoint on it, or sooner. */
const LOOK = `
  SELECT pg_is_in_recovery() AND system_identifier::text = $3 AND current_database() = $4 AS is_replica,
         upper(lpad(to_hex(greatest(timeline_id, min_recovery_end_timeline)), 8, '0')) = $2 AS is_on_timeline,
         coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false) AS is_caught_up
    FROM pg_control_system(), pg_control_checkpoint(), pg_control_recovery()`;

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
   * @throws Error when it has not within `patienceMs`, cannot be reached, is no standby of this database, or has not
   *   followed the primary through its last failover
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

async function look(replica: DataSource, { lsn, timeline, system, database }: Mark): Promise<Look> {
  const [found] = await replica.query<[Look]>(LOOK, [lsn, timeline, system, database]);
  if (!found.is_replica)
    throw new Error('DATABASE_REPLICA_URL leads to no standby of the database of DATABASE_URL.');
  if (!found.is_on_timeline)
    throw new Error('It is not known to have followed the primary through its last failover.');
  return found;
}
