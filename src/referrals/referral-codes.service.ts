import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { AuditLogService } from '../audit/audit-log.service';
import type { Actor } from '../auth/actor';
import type { Caller } from '../auth/sessions.service';
import { ApiError } from '../common/api-error';
import {
  isDatabaseUnavailable,
  isOfErasedUser,
  violatedRule,
  violatedUnique,
} from '../common/database-error';
import { sharedRead } from '../database/shared-read';
import { ProjectsService } from '../projects/projects.service';
import type { RewardJson } from '../rewards/reward';
import { RewardsService } from '../rewards/rewards.service';
import { generateCode, isOwnCode } from './code';
import { ReferralCode } from './referral-code.entity';

/** A `ReferralCode`, for the most frequent of all requests: the ORM would take most of its time. */
const COLUMNS = `project_id AS "projectId", id, user_id AS "userId", code, code_canonical AS "codeCanonical",
  reward_referrer AS "rewardReferrer", reward_referee AS "rewardReferee", current_uses AS "currentUses",
  max_uses AS "maxUses", is_active AS "isActive", created_at AS "createdAt", updated_at AS "updatedAt",
  deleted_at AS "deletedAt"`;
/** Contract §2: a free code is looked for this often. */
const MAX_TRIES = 5;

export interface NewCode {
  /** 3 to 32 letters, digits, `_` and `-`; generated when not given. */
  code?: string;
  /** The user whose own code this is; without one it is a template and a promo code. */
  userId?: string;
  rewardReferrer?: RewardJson;
  rewardReferee?: RewardJson;
  maxUses?: number;
}

@Injectable()
export class ReferralCodesService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly projects: ProjectsService,
    private readonly rewards: RewardsService,
    private readonly auditLog: AuditLogService,
  ) {}

  /**
   * The caller's own code, made on first read with the rewards of the project's oldest active template.
   *
   * @throws ApiError RETRY_EXHAUSTED after five codes that were taken, CREATE_FAILED
   */
  async ownCode(caller: Caller): Promise<{ code: ReferralCode; created: boolean }> {
    const existing = await this.findOwn(caller);
    if (existing) return { code: existing, created: false };
    try {
      return { code: await this.makeOwn(caller), created: true };
    } catch (error) {
      // somebody else's first read of the same user may have won
      const winner = violatedUnique(error) && (await this.findOwn(caller));
      if (winner) return { code: winner, created: false };
      if (isOfErasedUser(error)) throw new ApiError('INVALID_TOKEN', { cause: error });
      if (error instanceof ApiError || isDatabaseUnavailable(error)) throw error;
      throw new ApiError('CREATE_FAILED', { cause: error });
    }
  }

  /**
   * Creates a template, a promo code or a user's own code for a developer.
   *
   * @throws ApiError INVALID_INPUT, INVALID_REWARD, CODE_EXISTS, USER_ERASED, RETRY_EXHAUSTED
   */
  async create(
    by: Actor,
    projectId: string,
    { code, rewardReferrer = {}, rewardReferee = {}, ...rest }: NewCode,
  ): Promise<ReferralCode> {
    if (code !== undefined && !isOwnCode(code)) {
      throw ApiError.invalidInput({ field: 'code', message: 'must be 3 to 32 letters, digits, _ and -' });
    }
    await this.rewards.validate(projectId, rewardReferrer);
    await this.rewards.validate(projectId, rewardReferee);
    const insert = (spelling: string) =>
      this.auditLog.write(by, { projectId }, 'code.create', async ({ manager }) => {
        const values = { projectId, code: spelling, rewardReferrer, rewardReferee, ...rest };
        const { identifiers } = await manager.insert(ReferralCode, values);
        const made = await manager.findOneByOrFail(ReferralCode, {
          projectId,
          id: (identifiers[0] as ReferralCode).id,
        });
        return { result: made, targetId: made.id, after: toCodeState(made) };
      });
    try {
      return await (code === undefined ? this.withFreeCode(projectId, insert) : insert(code));
    } catch (error) {
      const taken = violatedUnique(error);
      if (taken === undefined) throw refusedOwner(error) ?? error;
      const message = taken === 'referral_codes_one_per_user' ? 'This user already has a code.' : undefined;
      throw new ApiError('CODE_EXISTS', { message, cause: error });
    }
  }

  private async findOwn({ projectId, userId }: Caller): Promise<ReferralCode | undefined> {
    const [code] = await sharedRead<ReferralCode>(
      this.dataSource,
      `SELECT ${COLUMNS} FROM referral_codes WHERE project_id = $1 AND user_id = $2`,
      [projectId, userId],
    );
    return code;
  }

  private makeOwn({ projectId, userId }: Caller): Promise<ReferralCode> {
    return this.withFreeCode(projectId, async (code) => {
      const [made] = await this.dataSource.query<[ReferralCode]>(
        `INSERT INTO referral_codes (project_id, user_id, code, reward_referrer, reward_referee)
         SELECT $1, $2, $3, coalesce(t.reward_referrer, '{}'), coalesce(t.reward_referee, '{}')
           FROM (VALUES (1)) AS always_one_row
           LEFT JOIN LATERAL (
             SELECT reward_referrer, reward_referee FROM referral_codes
              WHERE project_id = $1 AND user_id IS NULL AND is_active AND deleted_at IS NULL
              ORDER BY created_at, id LIMIT 1) AS t ON true
         RETURNING ${COLUMNS}`,
        [projectId, userId, code],
      );
      return made;
    });
  }

  /** Generates codes until one is free. */
  private async withFreeCode<T>(projectId: string, insert: (code: string) => Promise<T>): Promise<T> {
    const { referralCodeLength } = await this.projects.get(projectId);
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      try {
        return await insert(generateCode(referralCodeLength));
      } catch (error) {
        if (violatedUnique(error) !== 'referral_codes_canonical_unique') throw error;
      }
    }
    throw new ApiError('RETRY_EXHAUSTED');
  }
}

function refusedOwner(error: unknown): ApiError | undefined {
  if (isOfErasedUser(error)) return new ApiError('USER_ERASED', { cause: error });
  if (violatedRule(error) !== 'referral_codes_user_fkey') return undefined;
  return ApiError.invalidInput({ field: 'app_user_id', message: 'is no user of this project' });
}

/** A code as clients and developers see it. */
export function toReferralCodeJson(code: ReferralCode) {
  return {
    id: code.id,
    app_user_id: code.userId,
    code: code.code,
    reward_referrer: code.rewardReferrer,
    reward_referee: code.rewardReferee,
    current_uses: code.currentUses,
    max_uses: code.maxUses,
    is_active: code.isActive && code.deletedAt === null,
    created_at: code.createdAt,
    updated_at: code.updatedAt,
  };
}

/** A code as the audit log may keep it: the spelling of a user's own code may be a name. */
export function toCodeState(code: ReferralCode) {
  const { code: spelling, ...state } = toReferralCodeJson(code);
  return code.userId === null ? { code: spelling, ...state } : state;
}
