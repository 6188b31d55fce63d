import { Injectable } from '@nestjs/common';
import type { QueryRunner } from 'typeorm';
import { SharedRuns } from '../common/shared-runs';
import { inTransaction } from '../common/transaction';
import { allowLongStatements, type Statement } from '../database/long-statements';
import { ReadDatabase } from '../database/read-database';
import { reconcile, type CurrencyReport, type Totals } from './reconciliation';

const TOTALS_TIMEOUT_MS = 30_000;

export interface ReconciliationReport {
  /** Whether every comparison holds in every currency. */
  agrees: boolean;
  /** The moment whose data was added up. */
  checked_at: Date;
  pending: number;
  dead: number;
  /** Since when the oldest promise that is pending waits; null for none. */
  oldest_pending_age_s: number | null;
  currencies: CurrencyReport[];
}

interface Moment {
  now: Date;
  oldest_pending_age_s: number | null;
}

/** Adds up what was promised, what the ledger says and what users have, and compares. */
@Injectable()
export class ReconciliationService {
  private readonly runs = new SharedRuns<ReconciliationReport>();

  constructor(private readonly database: ReadDatabase) {}

  /** The totals of one moment after the call. Reads the whole project, one project at a time. */
  totals(projectId: string): Promise<ReconciliationReport> {
    return this.runs.run(projectId, () =>
      this.database.read((dataSource) =>
        inTransaction(dataSource, (queryRunner) => readTotals(queryRunner, projectId)),
      ),
    );
  }
}

/** All in one snapshot, or what is paid between two statements would make their totals disagree. */
async function readTotals(queryRunner: QueryRunner, projectId: string): Promise<ReconciliationReport> {
  await queryRunner.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
  const statement = await allowLongStatements(queryRunner, TOTALS_TIMEOUT_MS);
  const [moment] = (await statement<Moment>(MOMENT, [projectId])) as [Moment];
  const totals = await addUp(statement, projectId);
  const currencies = reconcile(totals);
  const countOf = (status: 'pending' | 'dead') =>
    currencies.reduce((total, { promises }) => total + promises[status].count, 0);
  return {
    agrees: currencies.every(({ agrees }) => agrees),
    checked_at: moment.now,
    ...{ pending: countOf('pending'), dead: countOf('dead') },
    oldest_pending_age_s: moment.oldest_pending_age_s,
    currencies,
  };
}

async function addUp(statement: Statement, projectId: string): Promise<Totals> {
  const read = <Row>(sql: string) => statement<Row>(sql, [projectId]);
  return {
    currencies: await read(CURRENCIES),
    promises: await read(PROMISES),
    ledger: await read(LEDGER),
    balances: await read(BALANCES),
  };
}

/** The first statement takes the snapshot. */
const MOMENT = `
  SELECT clock_timestamp() AS now,
         (SELECT greatest(0, floor(extract(epoch FROM now() - created_at)))::bigint FROM reward_grants
           WHERE project_id = $1 AND status = 'pending' ORDER BY created_at LIMIT 1) AS oldest_pending_age_s`;
const CURRENCIES = `
  SELECT id, code, deleted_at IS NOT NULL AS is_deleted FROM currencies WHERE project_id = $1`;
const PROMISES = `
  SELECT currency_code, status, count(*) AS count, sum(amount) AS promised, sum(granted) AS granted
    FROM reward_grants WHERE project_id = $1 GROUP BY 1, 2`;
const LEDGER = `
  SELECT currency_id, source, count(*) AS count, sum(requested) AS requested, sum(amount) AS sum
    FROM currency_transactions WHERE project_id = $1 GROUP BY 1, 2 ORDER BY 2`;
const BALANCES = `
  SELECT currency_id, count(*) AS users, sum(balance) AS sum
    FROM balances WHERE project_id = $1 GROUP BY 1`;
