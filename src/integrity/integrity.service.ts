import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, QueryRunner } from 'typeorm';
import { SharedRuns } from '../common/shared-runs';
import { inTransaction } from '../common/transaction';
import { allowLongStatements, type Statement } from '../database/long-statements';
import type { Invariant } from './invariant';
import { INVARIANTS } from './invariants';

/**
 * For one invariant. With 200,000 claims (400,000 ledger lines) the slowest took 2.8 s on two busy cores and all of
 * them 10 s, and it grows in step: this is enough for two million claims.
 */
const INVARIANT_TIMEOUT_MS = 30_000;
/** Shown of each invariant: enough to see what kind of fault it is. All of them are counted. */
const MAX_ROWS = 100;

export interface InvariantResult {
  number: number;
  name: string;
  description: string;
  ok: boolean;
  /** How many rows break it; `rows` are the first 100 of them. */
  brokenRows: number;
  rows: object[];
}

export interface IntegrityReport {
  ok: boolean;
  /** The moment whose data was looked at. */
  checkedAt: Date;
  invariants: InvariantResult[];
}

/** Looks for rows that must not be: runs the invariants. */
@Injectable()
export class IntegrityService {
  private readonly runs = new SharedRuns<IntegrityReport>();

  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /**
   * Runs every invariant, on the data of one moment after the call.
   *
   * One run at a time and instance. A run that has begun is not shared: somebody who repaired a row must not be told
   * of it again.
   *
   * @param projectId null for all projects
   * @param signal ends a check before its next invariant, with its reason
   */
  check(projectId: string | null, signal?: AbortSignal): Promise<IntegrityReport> {
    return this.runs.run(projectId ?? 'all', () =>
      inTransaction(this.dataSource, (queryRunner) => runInvariants(queryRunner, projectId, signal)),
    );
  }
}

/** All in one snapshot, or claims made between two of them would make their results disagree. */
async function runInvariants(
  queryRunner: QueryRunner,
  projectId: string | null,
  signal?: AbortSignal,
): Promise<IntegrityReport> {
  await queryRunner.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
  const statement = await allowLongStatements(queryRunner, INVARIANT_TIMEOUT_MS);
  // takes the snapshot
  const [{ now }] = (await statement<{ now: Date }>('SELECT clock_timestamp() AS now', [])) as [
    { now: Date },
  ];
  const invariants: InvariantResult[] = [];
  for (const invariant of INVARIANTS) {
    signal?.throwIfAborted();
    invariants.push(await runInvariant(statement, invariant, projectId));
  }
  return { ok: invariants.every(({ ok }) => ok), checkedAt: now, invariants };
}

async function runInvariant(
  statement: Statement,
  { number, name, description, sql }: Invariant,
  projectId: string | null,
): Promise<InvariantResult> {
  // as JSON: a number that is too large for JavaScript, which is what may be broken, must not fail the whole report
  const broken = await statement<{ total: number; row: object }>(
    `SELECT count(*) OVER () AS total, to_json(broken) AS row FROM (${sql}) AS broken LIMIT ${MAX_ROWS}`,
    [projectId],
  );
  return {
    ...{ number, name, description },
    ok: broken.length === 0,
    brokenRows: broken[0]?.total ?? 0,
    rows: broken.map(({ row }) => row),
  };
}
