import { Column, Entity, PrimaryColumn } from 'typeorm';

/** The `Idempotency-Key` a claim was made with, and what was asked then. */
@Entity('claim_idempotency_keys')
export class ClaimIdempotencyKey {
  @PrimaryColumn('uuid', { name: 'project_id' })
  projectId: string;

  @PrimaryColumn('uuid', { name: 'user_id' })
  userId: string;

  @PrimaryColumn('text')
  key: string;

  /** SHA-256 of the code as it was sent. */
  @Column('bytea', { name: 'request_digest' })
  requestDigest: Buffer;

  @Column('uuid', { name: 'claim_id' })
  claimId: string;
}
