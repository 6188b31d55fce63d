import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A tenant: one app with its own keys, users, currencies and codes. */
@Entity('projects')
export class Project {
  @PrimaryColumn('uuid', { default: () => 'gen_random_uuid()' })
  id: string;

  /** The developer who administers it; null for one made on the command line. */
  @Column('uuid', { name: 'owner_id', nullable: true })
  ownerId: string | null;

  @Column('text')
  name: string;

  /** The app's id in its store, as in com.example.game. */
  @Column('text', { name: 'bundle_id', nullable: true })
  bundleId: string | null;

  /** What the app runs on, in the developer's words. */
  @Column('text', { nullable: true })
  platform: string | null;

  /** Length of generated referral codes, 6 to 16. */
  @Column('smallint', { name: 'referral_code_length', default: 8 })
  referralCodeLength: number;

  /** How many different codes one user may claim; null for no limit. */
  @Column('integer', { name: 'max_claims_per_user', nullable: true })
  maxClaimsPerUser: number | null;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt: Date;

  @Column('timestamptz', { name: 'deleted_at', nullable: true })
  deletedAt: Date | null;
}
