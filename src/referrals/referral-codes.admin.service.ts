import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { IsNull, type DataSource, type EntityManager, type QueryRunner } from 'typeorm';
import { AuditLogService } from '../audit/audit-log.service';
import type { Actor } from '../auth/actor';
import type { Caller } from '../auth/sessions.service';
import { ApiError } from '../common/api-error';
import { violatedRule } from '../common/database-error';
import { definedOnly } from '../common/defined-only';
import type { Page, PageQuery } from '../common/page';
import { readPage } from '../common/read-page';
import { ReadDatabase } from '../database/read-database';
import type { RewardJson } from '../rewards/reward';
import { RewardsService } from '../rewards/rewards.service';
import { canonicalCode, generateCode } from './code';
import { ReferralClaim } from './referral-claim.entity';
import { ReferralCode } from './referral-code.entity';
import { toCodeState } from './referral-codes.service';

export interface CodeFilter {
  /** Part of a code, however it is typed. */
  search?: string;
  /** `user`: users' own codes; `template`: those without an owner. */
  kind?: 'user' | 'template';
}

/** What may change of a code. Claims that were made keep the rewards that were promised then. */
export interface CodeChanges {
  rewardReferrer?: RewardJson;
  rewardReferee?: RewardJson;
  maxUses?: number | null;
  isActive?: boolean;
}

export interface CodeStats {
  code: ReferralCode;
  total: number;
  /** The claims in the window, newest first. */
  claims: ReferralClaim[];
}

/** So many signs that no user's code has the same. */
const FORGOTTEN_LENGTH = 32;

/** What developers do with codes, but for making them. */
@Injectable()
export class ReferralCodesAdminService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly database: ReadDatabase,
    private readonly rewards: RewardsService,
    private readonly auditLog: AuditLogService,
  ) {}

  /** The codes of a project, newest first, without deleted ones. */
  list(projectId: string, window: PageQuery, { search, kind }: CodeFilter): Promise<Page<ReferralCode>> {
    return this.database.read((dataSource) => {
      const query = dataSource
        .getRepository(ReferralCode)
        .createQueryBuilder('c')
        .where('c.project_id = :projectId AND c.deleted_at IS NULL', { projectId });
      if (search !== undefined) {
        // what cannot be a code is part of none
        query.andWhere('strpos(c.code_canonical, :part) > 0', { part: canonicalCode(search) ?? search });
      }
      if (kind !== undefined) query.andWhere(`c.user_id IS ${kind === 'user' ? 'NOT NULL' : 'NULL'}`);
      return readPage(query.orderBy({ 'c.createdAt': 'DESC', 'c.id': 'DESC' }), window);
    });
  }

  /** A code with its claims, also when it is deleted. @throws ApiError NOT_FOUND */
  async stats(projectId: string, id: string, window: PageQuery): Promise<CodeStats> {
    const code = await this.dataSource.manager.findOne(ReferralCode, { where: { projectId, id } });
    if (code === null) throw unknownCode(id);
    const claims = await this.dataSource.manager.find(ReferralClaim, {
      where: { projectId, referralCodeId: id },
      order: { claimedAt: 'DESC', id: 'DESC' },
      skip: window.offset,
      take: window.limit,
    });
    // counting them anew would take the longer the more there are
    return { code, total: code.currentUses, claims };
  }

  /**
   * Changes what is given, after the claims of this code that are under way.
   *
   * @throws ApiError NOT_FOUND, INVALID_REWARD, MAX_USES_TOO_LOW with `details.current_uses`
   */
  async update(by: Actor, projectId: string, id: string, changes: CodeChanges): Promise<ReferralCode> {
    const given = definedOnly(changes);
    for (const reward of [given.rewardReferrer, given.rewardReferee]) {
      if (reward !== undefined) await this.rewards.validate(projectId, reward);
    }
    try {
      return await this.change(by, projectId, { id, action: 'code.update' }, ({ currentUses }) => {
        if (given.maxUses != null && given.maxUses < currentUses) {
          throw new ApiError('MAX_USES_TOO_LOW', { details: { current_uses: currentUses } });
        }
        return given;
      });
    } catch (error) {
      if (violatedRule(error) !== 'referral_codes_uses_range') throw error;
      throw new ApiError('MAX_USES_TOO_LOW', { cause: error });
    }
  }

  /** Stops a code for good. Its claims stay, and nobody else gets its spelling. @throws ApiError NOT_FOUND */
  delete(by: Actor, projectId: string, id: string): Promise<ReferralCode> {
    return this.change(by, projectId, { id, action: 'code.delete' }, () => ({
      isActive: false,
      deletedAt: () => 'clock_timestamp()',
    }));
  }

  /** A code is locked before its owner, as claims do it. */
  async lockOf(queryRunner: QueryRunner, { projectId, userId }: Caller): Promise<void> {
    await queryRunner.query(`SELECT FROM referral_codes WHERE project_id = $1 AND user_id = $2 FOR UPDATE`, [
      projectId,
      userId,
    ]);
  }

  /**
   * Stops the code of a user who is erased, in the caller's transaction, and forgets its spelling, which may be a name.
   * The keys of the user's requests, which the app made up, go with it.
   */
  async forget(queryRunner: QueryRunner, { projectId, userId }: Caller): Promise<void> {
    await queryRunner.query(
      `UPDATE referral_codes SET code = $3, is_active = false, deleted_at = coalesce(deleted_at, clock_timestamp()),
              updated_at = clock_timestamp()
        WHERE project_id = $1 AND user_id = $2`,
      [projectId, userId, generateCode(FORGOTTEN_LENGTH)],
    );
    await queryRunner.query(`DELETE FROM claim_idempotency_keys WHERE project_id = $1 AND user_id = $2`, [
      projectId,
      userId,
    ]);
  }

  private change(
    by: Actor,
    projectId: string,
    { id, action }: { id: string; action: string },
    decide: (code: ReferralCode) => object,
  ): Promise<ReferralCode> {
    return this.auditLog.write(by, { projectId }, action, async ({ manager }) => {
      const before = await lockCode(manager, projectId, id);
      const changes = { ...decide(before), updatedAt: () => 'clock_timestamp()' };
      await manager.update(ReferralCode, { projectId, id }, changes);
      const after = await manager.findOneByOrFail(ReferralCode, { projectId, id });
      return {
        ...{ result: after, targetId: id },
        ...{ before: toCodeState(before), after: toCodeState(after) },
      };
    });
  }
}

/** The lock under which claims are decided. */
async function lockCode(manager: EntityManager, projectId: string, id: string): Promise<ReferralCode> {
  const code = await manager.findOne(ReferralCode, {
    where: { projectId, id, deletedAt: IsNull() },
    lock: { mode: 'pessimistic_write' },
  });
  if (code === null) throw unknownCode(id);
  return code;
}

function unknownCode(id: string): ApiError {
  return new ApiError('NOT_FOUND', { message: `There is no code ${id} in this project.` });
}
