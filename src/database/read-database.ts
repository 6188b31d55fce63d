import { Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { Counter, Gauge, Registry } from 'prom-client';
import type { DataSource } from 'typeorm';
import { ApiError } from '../common/api-error';
import { settledWithin } from '../common/settled-within';
import { CONFIG, type Config } from '../config';
import { Replica } from './replica';

/** A read waits this long for the replica to have what it must see, then goes to the primary. */
const PATIENCE_MS = 1_000;
/** A replica that failed or fell behind is left alone for so long, so that not every read waits for it. */
const REST_MS = 10_000;

/**
 * Where reads go that cost more the larger a project is. With `DATABASE_REPLICA_URL` that is the replica, as soon as it has all
 * that was committed when they were asked for: whoever wrote finds what was written. Without one, and whenever it cannot
 * answer, it is the primary.
 */
@Injectable()
export class ReadDatabase implements OnApplicationShutdown {
  private readonly logger = new Logger('Replica');
  private readonly replica: Replica | undefined;
  private readonly reads: Counter<'answered_by'>;
  private restsUntil = 0;
  /** When the replica was last seen to have everything; at the start it is given the benefit of the doubt. */
  private seenAt = Date.now();

  constructor(
    @InjectDataSource() private readonly primary: DataSource,
    @Inject(CONFIG) { databaseReplicaUrl }: Pick<Config, 'databaseReplicaUrl'>,
    registry: Registry,
  ) {
    this.replica = databaseReplicaUrl === undefined ? undefined : new Replica(primary, databaseReplicaUrl);
    this.reads = new Counter({
      name: 'amba_replica_reads_total',
      help: 'Reads that a replica may answer, by who did. None without DATABASE_REPLICA_URL.',
      labelNames: ['answered_by'],
      registers: [registry],
    });
    if (this.replica) for (const by of ['replica', 'primary']) this.reads.inc({ answered_by: by }, 0);
    this.showLag(registry);
  }

  /**
   * @param work only reads, and may be done twice: what fails on the replica, for whatever reason, is done again on the primary
   * @throws what `work` throws on the primary, and an ApiError that it throws on either
   */
  async read<T>(work: (dataSource: DataSource) => Promise<T>): Promise<T> {
    if (this.replica === undefined) return work(this.primary);
    const replica = await this.caughtUp(this.replica);
    if (replica !== undefined) {
      try {
        const result = await work(replica);
        this.reads.inc({ answered_by: 'replica' });
        return result;
      } catch (error) {
        if (error instanceof ApiError) throw error;
        this.rest(error);
      }
    }
    this.reads.inc({ answered_by: 'primary' });
    return work(this.primary);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.replica?.close();
  }

  private async caughtUp(replica: Replica): Promise<DataSource | undefined> {
    if (Date.now() < this.restsUntil) return undefined;
    try {
      return await this.look(replica);
    } catch (error) {
      this.rest(error);
      return undefined;
    }
  }

  /** @throws Error when it has not caught up, or not answered, within a second */
  private async look(replica: Replica): Promise<DataSource> {
    const found = await settledWithin(replica.caughtUp(PATIENCE_MS), PATIENCE_MS);
    if (found === undefined) throw new Error(`It is more than ${PATIENCE_MS} ms behind, or does not answer.`);
    this.seenAt = Date.now();
    return found;
  }

  private rest(reason: unknown): void {
    if (Date.now() >= this.restsUntil)
      this.logger.warn(`Not asked for ${REST_MS / 1000} s, the primary is instead: ${String(reason)}`);
    this.restsUntil = Date.now() + REST_MS;
  }

  private async lagS(replica: Replica): Promise<number> {
    return this.look(replica).then(
      () => 0,
      () => (Date.now() - this.seenAt) / 1000,
    );
  }

  private showLag(registry: Registry): void {
    const { replica } = this;
    const lag = new Gauge({
      name: 'amba_replica_lag_seconds',
      help: 'Since when the replica has not had all that the primary committed, 0 while it has. Missing without one.',
      registers: [registry],
      collect: async () => {
        if (replica === undefined) lag.remove({});
        else lag.set(await this.lagS(replica));
      },
    });
  }
}
