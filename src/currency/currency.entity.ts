import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A currency of one app: gems, gold, xp. Amounts are whole and at most 2^53 - 1. */
@Entity('currencies')
export class Currency {
  @PrimaryColumn('uuid', { name: 'project_id' })
  projectId: string;

  @PrimaryColumn('uuid', { default: () => 'gen_random_uuid()' })
  id: string;

  @Column('text')
  code: string;

  @Column('text')
  name: string;

  @Column('text', { nullable: true })
  description: string | null;

  @Column('boolean', { name: 'is_premium', default: false })
  isPremium: boolean;

  /** What a user has before the first movement. */
  @Column('bigint', { name: 'initial_balance', default: 0 })
  initialBalance: number;

  @Column('bigint', { name: 'max_balance' })
  maxBalance: number;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt: Date;

  @Column('timestamptz', { name: 'deleted_at', nullable: true })
  deletedAt: Date | null;
}
