import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { RewardJson } from '../rewards/reward';

/** A claim, never changed: who claimed whose code, and the rewards as they stood at that moment. */
@Entity('referral_claims')
export class ReferralClaim {
  @PrimaryColumn('uuid', { name: 'project_id' })
  projectId: string;

  @PrimaryColumn('uuid')
  id: string;

  @Column('uuid', { name: 'referral_code_id' })
  referralCodeId: string;

  /** The owner of the code; null when it has none. */
  @Column('uuid', { name: 'referrer_id', nullable: true })
  referrerId: string | null;

  /** The user who claimed it. */
  @Column('uuid', { name: 'referee_id' })
  refereeId: string;

  @Column('json', { name: 'reward_referrer' })
  rewardReferrer: RewardJson;

  @Column('json', { name: 'reward_referee' })
  rewardReferee: RewardJson;

  @Column('timestamptz', { name: 'claimed_at', default: () => 'clock_timestamp()' })
  claimedAt: Date;
}
