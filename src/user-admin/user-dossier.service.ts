import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, QueryRunner } from 'typeorm';
import type { Caller } from '../auth/sessions.service';
import { inTransaction } from '../common/transaction';
import { BalancesService, type BalanceRow } from '../currency/balances.service';
import { toAdminUserJson, UsersService } from '../users/users.service';

export interface ReferredBy {
  claim_id: string;
  referral_code_id: string;
  code: string;
  referrer_id: string | null;
  claimed_at: Date;
}

export interface Referred {
  claim_id: string;
  referee_id: string;
  claimed_at: Date;
}

/** Who somebody is, who referred them, whom they referred, and what they have. */
export interface Dossier {
  user: ReturnType<typeof toAdminUserJson>;
  code: { id: string; code: string; current_uses: number; is_active: boolean } | null;
  referredBy: ReferredBy[];
  /** The newest of them. */
  referred: Referred[];
  balances: BalanceRow[];
}

const NEWEST = 50;

/** What an export says of a user, by name: one statement each, on project and user. */
const EXPORT = {
  profile: `SELECT id, external_id, anonymous_id, email, display_name, avatar_url, properties, timezone,
                   first_seen_at, last_seen_at, created_at, updated_at, disabled_at, erased_at
              FROM app_users WHERE project_id = $1 AND id = $2`,
  identities: `SELECT provider, provider_id, created_at FROM user_identities
                WHERE project_id = $1 AND user_id = $2 ORDER BY created_at`,
  sessions: `SELECT id, created_at, revoked_at FROM sessions WHERE project_id = $1 AND user_id = $2 ORDER BY created_at`,
  referral_codes: `SELECT id, code, reward_referrer, reward_referee, current_uses, max_uses, is_active, created_at, deleted_at
                     FROM referral_codes WHERE project_id = $1 AND user_id = $2`,
  claims_made: `SELECT id, referral_code_id, reward_referee, claimed_at FROM referral_claims
                 WHERE project_id = $1 AND referee_id = $2 ORDER BY claimed_at`,
  // without the others, whose data it is
  claims_of_own_code: `SELECT k.id, k.reward_referrer, k.claimed_at
                         FROM referral_codes c JOIN referral_claims k ON k.project_id = c.project_id AND k.referral_code_id = c.id
                        WHERE c.project_id = $1 AND c.user_id = $2 ORDER BY k.claimed_at`,
  balances: `SELECT c.code AS currency_code, b.balance, b.lifetime_earned, b.lifetime_spent, b.updated_at
               FROM balances b JOIN currencies c ON c.project_id = b.project_id AND c.id = b.currency_id
              WHERE b.project_id = $1 AND b.user_id = $2 ORDER BY c.code`,
  transactions: `SELECT t.id, c.code AS currency_code, t.amount, t.requested AS requested_amount, t.balance_after,
                        t.transaction_type, t.source, t.reference_id, t.created_at
                   FROM currency_transactions t JOIN currencies c ON c.project_id = t.project_id AND c.id = t.currency_id
                  WHERE t.project_id = $1 AND t.user_id = $2 ORDER BY t.seq`,
  grants_by_hand: `SELECT g.id, c.code AS currency_code, g.amount, g.reason, g.created_at
                     FROM admin_grants g JOIN currencies c ON c.project_id = g.project_id AND c.id = g.currency_id
                    WHERE g.project_id = $1 AND g.user_id = $2 ORDER BY g.created_at`,
  idempotency_keys: `SELECT key, claim_id, created_at FROM claim_idempotency_keys
                      WHERE project_id = $1 AND user_id = $2 ORDER BY created_at`,
  administration: `SELECT action, before, after, created_at FROM audit_log
                    WHERE project_id = $1 AND target_id = $2::uuid::text ORDER BY seq`,
  rewards: `SELECT id, claim_id, side, currency_code, amount, granted, status, last_error, created_at, settled_at
              FROM reward_grants WHERE project_id = $1 AND user_id = $2 ORDER BY created_at, id`,
} as const;

export type UserExport = Record<keyof typeof EXPORT, object[]>;

@Injectable()
export class UserDossierService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly users: UsersService,
    private readonly balances: BalancesService,
  ) {}

  /** @throws ApiError NOT_FOUND */
  async read(caller: Caller): Promise<Dossier> {
    const { projectId, userId } = caller;
    const user = await this.users.get(projectId, userId);
    const identities = await this.users.identities(projectId, userId);
    const [code] = await this.dataSource.query<NonNullable<Dossier['code']>[]>(
      `SELECT id, code, current_uses, is_active AND deleted_at IS NULL AS is_active
         FROM referral_codes WHERE project_id = $1 AND user_id = $2`,
      [projectId, userId],
    );
    const referredBy = await this.dataSource.query<ReferredBy[]>(
      `SELECT k.id AS claim_id, k.referral_code_id, c.code, k.referrer_id, k.claimed_at
         FROM referral_claims k JOIN referral_codes c ON c.project_id = k.project_id AND c.id = k.referral_code_id
        WHERE k.project_id = $1 AND k.referee_id = $2 ORDER BY k.claimed_at DESC LIMIT ${NEWEST}`,
      [projectId, userId],
    );
    return {
      user: toAdminUserJson(user, identities),
      code: code ?? null,
      referredBy,
      referred: code === undefined ? [] : await this.referred(projectId, code.id),
      balances: await this.balances.list(caller),
    };
  }

  /** Everything that is stored of a user, as it is at one moment. @throws ApiError NOT_FOUND */
  async export({ projectId, userId }: Caller): Promise<UserExport> {
    return inTransaction(this.dataSource, async (queryRunner) => {
      await queryRunner.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
      await this.users.get(projectId, userId, queryRunner.manager);
      const parts = [];
      for (const [name, sql] of Object.entries(EXPORT)) {
        parts.push([name, await read(queryRunner, sql, [projectId, userId])]);
      }
      return Object.fromEntries(parts) as UserExport;
    });
  }

  private referred(projectId: string, codeId: string): Promise<Referred[]> {
    return this.dataSource.query(
      `SELECT id AS claim_id, referee_id, claimed_at FROM referral_claims
        WHERE project_id = $1 AND referral_code_id = $2 ORDER BY claimed_at DESC LIMIT ${NEWEST}`,
      [projectId, codeId],
    );
  }
}

function read(queryRunner: QueryRunner, sql: string, values: string[]): Promise<object[]> {
  return queryRunner.query(sql, values) as Promise<object[]>;
}
