import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, QueryRunner } from 'typeorm';
import { AuditLogService, type AuditRow } from '../audit/audit-log.service';
import type { Actor } from '../auth/actor';
import { ApiError } from '../common/api-error';
import type { ErrorCode } from '../common/error-catalogue';
import { Page, type PageQuery } from '../common/page';
import { inTransaction } from '../common/transaction';
import { ReadDatabase } from '../database/read-database';
import {
  findGrant,
  grantIds,
  grantsAfter,
  knownIds,
  listGrants,
  type Cursor,
  type GrantFilter,
  type GrantRow,
} from './reward-grant-list';
import * as promises from './reward-grants';
import type { GrantState } from './reward-grants';
import { RewardsService } from './rewards.service';

/** Replayed by one call at most. Each holds a lock and writes a line of the audit log. */
export const REPLAY_BATCH = 1_000;
/** Read at once for a stream: few enough to hold in memory, many enough that the database is not asked for each. */
const STREAM_BATCH = 500;
/** The newest lines of the audit log that are shown with a grant. */
const MAX_EVENTS = 200;

export const REPLAYABLE = ['dead', 'cancelled'] as const;
const CANCELLABLE = ['pending', 'dead'] as const;

/** Which promises to replay: these, or those that match, oldest first. */
export type ReplaySelection =
  { ids: string[] } | { status: (typeof REPLAYABLE)[number]; from?: string; to?: string };

export interface RefusedReplay {
  id: string;
  reason: 'not_found' | 'not_replayable';
}

export interface ReplayResult {
  replayed: number;
  refused: RefusedReplay[];
  /** Whether more match than one call replays. */
  has_more: boolean;
}

/** The operator's view of the promises: looks them up, brings them back, ends them. */
@Injectable()
export class RewardGrantsService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly database: ReadDatabase,
    private readonly auditLog: AuditLogService,
    private readonly rewards: RewardsService,
  ) {}

  /** The promises that match, newest first. */
  async list(projectId: string, filter: GrantFilter, window: PageQuery): Promise<Page<GrantRow>> {
    const { rows, total } = await this.database.read((dataSource) =>
      listGrants(dataSource, projectId, filter, window),
    );
    return new Page(rows, total, window);
  }

  /** @throws ApiError NOT_FOUND */
  async get(projectId: string, id: string): Promise<GrantRow> {
    const grant = await findGrant(this.dataSource, projectId, id);
    if (grant === undefined) throw notFound(id);
    return grant;
  }

  /** What operators did to a promise, newest first. */
  async events(projectId: string, id: string): Promise<AuditRow[]> {
    const window = { limit: MAX_EVENTS, offset: 0 };
    return (await this.auditLog.list({ projectId }, window, { target_id: id })).data;
  }

  /**
   * All promises that match, newest first, in batches. Each batch is a statement of its own that goes on from the
   * key of the last row: a reader may take hours over a million rows without holding a connection or a transaction
   * (which would keep PostgreSQL from cleaning up) meanwhile. Each row is as it was when its batch was read.
   */
  async *batches(projectId: string, filter: GrantFilter): AsyncGenerator<GrantRow[], void> {
    let cursor: Cursor | undefined;
    do {
      const window = { cursor, limit: STREAM_BATCH };
      const { rows, next } = await this.database.read((dataSource) =>
        grantsAfter(dataSource, projectId, filter, window),
      );
      yield rows;
      cursor = next;
    } while (cursor);
  }

  /**
   * Makes a dead or cancelled promise due again and pays it at once, if it can be paid now.
   *
   * @throws ApiError NOT_FOUND, NOT_REPLAYABLE
   */
  async replay(by: Actor, projectId: string, id: string): Promise<GrantRow> {
    const now = new Date();
    await inTransaction(this.dataSource, async (queryRunner) => {
      const locked = await promises.lockThese(queryRunner, { projectId, ids: [id] }, REPLAYABLE);
      if (locked.length === 0) throw await refusal(queryRunner, { projectId, id }, 'NOT_REPLAYABLE');
      await this.reopen(queryRunner, { by, projectId, now }, locked);
    });
    await this.rewards.payReplayed(projectId, [id], now);
    return this.get(projectId, id);
  }

  /** As `replay`, for many at once: those that can be are, and the others are named. */
  async replayMany(by: Actor, projectId: string, selection: ReplaySelection): Promise<ReplayResult> {
    const now = new Date();
    const { replayed, ...result } = await inTransaction(this.dataSource, async (queryRunner) => {
      const { ids, has_more } = await select(queryRunner, projectId, selection);
      const locked = await promises.lockThese(queryRunner, { projectId, ids }, REPLAYABLE);
      await this.reopen(queryRunner, { by, projectId, now }, locked);
      const replayed = locked.map(({ id }) => id);
      const others = ids.filter((id) => !replayed.includes(id));
      const known = await knownIds(queryRunner, projectId, others);
      const refused = others.map((id): RefusedReplay => ({
        id,
        reason: known.has(id) ? 'not_replayable' : 'not_found',
      }));
      return { replayed, refused, has_more };
    });
    await this.rewards.payReplayed(projectId, replayed, now);
    return { replayed: replayed.length, ...result };
  }

  /**
   * Ends a promise that is not paid. A payment that is under way comes first.
   *
   * @throws ApiError NOT_FOUND, NOT_CANCELLABLE
   */
  async cancel(
    by: Actor,
    { projectId, id }: { projectId: string; id: string },
    reason: string,
  ): Promise<GrantRow> {
    await this.auditLog.write(by, { projectId }, 'reward_grant.cancel', async (queryRunner) => {
      const [before] = await promises.lockThese(queryRunner, { projectId, ids: [id] }, CANCELLABLE);
      if (before === undefined) throw await refusal(queryRunner, { projectId, id }, 'NOT_CANCELLABLE');
      await promises.cancel(queryRunner, { projectId, id }, reason);
      const after = { ...toState(before), status: 'cancelled', last_error: reason };
      return { result: undefined, targetId: id, before: toState(before), after };
    });
    return this.get(projectId, id);
  }

  /** With a line in the audit log for each. */
  private async reopen(
    queryRunner: QueryRunner,
    { by, projectId, now }: { by: Actor; projectId: string; now: Date },
    locked: GrantState[],
  ): Promise<void> {
    await promises.reopen(queryRunner, { projectId, ids: locked.map(({ id }) => id) }, now);
    for (const before of locked) {
      await this.auditLog.record(
        queryRunner,
        by,
        { projectId },
        {
          ...{ action: 'reward_grant.replay', targetId: before.id, before: toState(before) },
          after: { status: 'pending', attempts: 0, last_error: null },
        },
      );
    }
  }
}

async function select(
  queryRunner: QueryRunner,
  projectId: string,
  selection: ReplaySelection,
): Promise<{ ids: string[]; has_more: boolean }> {
  if ('ids' in selection) return { ids: distinct(selection.ids), has_more: false };
  const ids = await grantIds(queryRunner, projectId, selection, REPLAY_BATCH + 1);
  return { ids: ids.slice(0, REPLAY_BATCH), has_more: ids.length > REPLAY_BATCH };
}

/** As PostgreSQL writes them. */
function distinct(ids: string[]): string[] {
  return [...new Set(ids.map((id) => id.toLowerCase()))];
}

/** Why a promise could not be locked: there is none, or it has another status. */
async function refusal(
  queryRunner: QueryRunner,
  { projectId, id }: { projectId: string; id: string },
  code: ErrorCode,
): Promise<ApiError> {
  const known = await knownIds(queryRunner, projectId, [id]);
  return known.has(id) ? new ApiError(code) : notFound(id);
}

function notFound(id: string): ApiError {
  return new ApiError('NOT_FOUND', { message: `There is no reward grant ${id}.` });
}

function toState({ status, attempts, last_error }: GrantState) {
  return { status, attempts, last_error };
}
