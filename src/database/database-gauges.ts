import { Injectable, Logger } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { Gauge, Registry } from 'prom-client';
import type { DataSource } from 'typeorm';
import { settledWithin } from '../common/settled-within';
import { sendTogether, type Statement } from '../common/statements';
import { inTransaction } from '../common/transaction';

/** A scrape waits this long for the database, then answers without it. Prometheus itself gives up after 10 s by default. */
const PATIENCE_MS = 1_000;
/** No reading is worth more to a database that has other things to do. */
const SHORT_STATEMENTS: Statement = { text: `SET LOCAL statement_timeout = '1s'`, values: [] };

/** Gauges that one statement tells the values of. */
export interface GaugeSource<Row> {
  gauges: Gauge[];
  /** Bounded: it is read at every scrape, by every instance. */
  statement: string;
  /** Sets the gauges. */
  show: (rows: Row[]) => void;
}

/**
 * Gauges whose values are in the database, so that every instance tells the same. They are read together, in one transaction
 * on one connection, when somebody asks. What could not be read is not told: an old value would look like a good one.
 */
@Injectable()
export class DatabaseGauges {
  private readonly logger = new Logger('Metrics');
  private readonly sources: GaugeSource<unknown>[] = [];
  private readonly up: Gauge;
  private reading?: Promise<unknown[][] | undefined>;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    registry: Registry,
  ) {
    this.up = new Gauge({
      name: 'amba_database_up',
      help: `1 when the database answered this scrape within ${PATIENCE_MS / 1000} s; else 0, and what is read from it is missing.`,
      registers: [registry],
    });
  }

  add<Row>(source: GaugeSource<Row>): void {
    this.sources.push(source as GaugeSource<unknown>);
  }

  /** Brings the gauges up to date, waiting at most a second. Never throws. Whoever asks meanwhile shares the reading. */
  async refresh(): Promise<void> {
    this.reading ??= this.read().finally(() => (this.reading = undefined));
    const answers = await settledWithin(this.reading, PATIENCE_MS);
    this.up.set(answers ? 1 : 0);
    this.sources.forEach(({ gauges, show }, i) => {
      gauges.forEach(forget);
      if (answers) show(answers[i] ?? []);
    });
  }

  private async read(): Promise<unknown[][] | undefined> {
    const statements = this.sources.map(({ statement }): Statement => ({ text: statement, values: [] }));
    try {
      const [, ...answers] = await inTransaction(this.dataSource, (queryRunner) =>
        sendTogether(queryRunner, SHORT_STATEMENTS, ...statements),
      );
      return answers;
    } catch (error) {
      this.logger.warn(`What the database knows is missing from /metrics: ${String(error)}`);
      return undefined;
    }
  }
}

/** To the library a gauge without labels that is reset is 0. */
function forget(gauge: Gauge): void {
  gauge.reset();
  gauge.remove({});
}
