import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, QueryRunner } from 'typeorm';
import type { Actor } from '../auth/actor';
import { Page, type PageQuery } from '../common/page';
import { inTransaction } from '../common/transaction';
import { ReadDatabase } from '../database/read-database';

/** What an admin write did, for its line in the log. Neither state may hold secrets or personal data of app users. */
export interface Change<T> {
  result: T;
  /** The id of what was written. */
  targetId: string;
  /** Its state before; none for what was made. */
  before?: object;
  /** Its state after; none for what is gone. */
  after?: object;
}

/** One line, before it is written. */
export interface AuditEntry extends Omit<Change<unknown>, 'result'> {
  /** `thing.verb`, as in `currency.update`. */
  action: string;
}

export interface AuditRow {
  id: string;
  actor_kind: Actor['kind'];
  actor_id: string | null;
  actor_name: string;
  address: string | null;
  request_id: string | null;
  action: string;
  target_id: string;
  before: object | null;
  after: object | null;
  created_at: Date;
}

export interface AuditFilter {
  action?: string;
  target_id?: string;
}

/** Where a line is kept: with a project, or with a developer's own account. */
type Scope = { projectId: string } | { developerId: string };

const COLUMNS = `id, actor_kind, actor_id, actor_name, address, request_id, action, target_id, before, after, created_at`;

/** The append-only log of everything that developers, their servers and the command line change. */
@Injectable()
export class AuditLogService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly database: ReadDatabase,
  ) {}

  /**
   * Makes an admin write: what `work` does and the line that tells of it are one transaction. A request that changed
   * nothing, as one that is sent again, leaves no line.
   *
   * @param action `thing.verb`, as in `currency.update`
   */
  write<T>(
    by: Actor,
    scope: Scope,
    action: string,
    work: (queryRunner: QueryRunner) => Promise<Change<T>>,
  ): Promise<T> {
    return inTransaction(this.dataSource, async (queryRunner) => {
      const { result, ...line } = await work(queryRunner);
      if (!isUnchanged(line)) await this.record(queryRunner, by, scope, { action, ...line });
      return result;
    });
  }

  /** Writes a line in the caller's transaction. */
  async record(queryRunner: QueryRunner, by: Actor, scope: Scope, entry: AuditEntry): Promise<void> {
    const { table, column, id } = tableOf(scope);
    await queryRunner.query(
      `INSERT INTO ${table} (${column}, actor_kind, actor_id, actor_name, address, request_id, action, target_id, before, after)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
      [
        ...[id, by.kind, by.id, by.name, by.address, by.requestId, entry.action, entry.targetId],
        ...[entry.before ?? null, entry.after ?? null].map((state) => state && JSON.stringify(state)),
      ],
    );
  }

  /** The log of a project or of a developer's account, newest first. */
  list(scope: Scope, window: PageQuery, filter: AuditFilter = {}): Promise<Page<AuditRow>> {
    const { table, column, id } = tableOf(scope);
    const from = `FROM ${table} WHERE ${column} = $1
                   AND ($2::text IS NULL OR action = $2) AND ($3::text IS NULL OR target_id = $3)`;
    const filters = [id, filter.action ?? null, filter.target_id ?? null];
    return this.database.read(async (dataSource) => {
      const rows = await dataSource.query<AuditRow[]>(
        `SELECT ${COLUMNS} ${from} ORDER BY seq DESC LIMIT $4 OFFSET $5`,
        [...filters, window.limit, window.offset],
      );
      const [{ total }] = await dataSource.query<[{ total: number }]>(
        `SELECT count(*) AS total ${from}`,
        filters,
      );
      return new Page(rows, total, window);
    });
  }
}

/** Done before, and done again. */
function isUnchanged({ before, after }: Pick<AuditEntry, 'before' | 'after'>): boolean {
  return before !== undefined && JSON.stringify(before) === JSON.stringify(after);
}

function tableOf(scope: Scope) {
  return 'projectId' in scope
    ? { table: 'audit_log', column: 'project_id', id: scope.projectId }
    : { table: 'developer_audit_log', column: 'developer_id', id: scope.developerId };
}
