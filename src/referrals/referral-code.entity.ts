import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { RewardJson } from '../rewards/reward';

/** A referral code: a user's own, or (no owner) a template, which doubles as a promo code. */
@Entity('referral_codes')
export class ReferralCode {
  @PrimaryColumn('uuid', { name: 'project_id' })
  projectId: string;

  @PrimaryColumn('uuid', { default: () => 'gen_random_uuid()' })
  id: string;

  @Column('uuid', { name: 'user_id', nullable: true })
  userId: string | null;

  /** As it was written. */
  @Column('text')
  code: string;

  /** As it is found: the database derives it from `code`. */
  @Column({ type: 'text', name: 'code_canonical', insert: false, update: false })
  codeCanonical: string;

  @Column('json', { name: 'reward_referrer', default: () => "'{}'" })
  rewardReferrer: RewardJson;

  @Column('json', { name: 'reward_referee', default: () => "'{}'" })
  rewardReferee: RewardJson;

  @Column('integer', { name: 'current_uses', default: 0 })
  currentUses: number;

  @Column('integer', { name: 'max_uses', nullable: true })
  maxUses: number | null;

  @Column('boolean', { name: 'is_active', default: true })
  isActive: boolean;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt: Date;

  @Column('timestamptz', { name: 'deleted_at', nullable: true })
  deletedAt: Date | null;
}
