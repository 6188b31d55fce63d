import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A tenant: one app with its own keys, users, currencies and codes. */
@Entity('projects')
export class Project {
  @PrimaryColumn('uuid', { default: () => 'gen_random_uuid()' })
  id: string;

  @Column('text')
  name: string;

  /** Length of generated referral codes, 6 to 16. */
  @Column('smallint', { name: 'referral_code_length', default: 8 })
  referralCodeLength: number;

  /** How many different codes one user may claim; null for no limit. */
  @Column('integer', { name: 'max_claims_per_user', nullable: true })
  maxClaimsPerUser: number | null;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  @Column('timestamptz', { name: 'deleted_at', nullable: true })
  deletedAt: Date | null;
}
