import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A user of an app. */
@Entity('app_users')
export class AppUser {
  @PrimaryColumn('uuid', { name: 'project_id' })
  projectId: string;

  @PrimaryColumn('uuid', { default: () => 'gen_random_uuid()' })
  id: string;

  /** The id that the app's own user system gave. */
  @Column('text', { name: 'external_id', nullable: true })
  externalId: string | null;

  /** `anon_…` for somebody who began without signing up; it stays when they do. */
  @Column('text', { name: 'anonymous_id', nullable: true })
  anonymousId: string | null;

  /** Lower-case. */
  @Column('text', { nullable: true })
  email: string | null;

  @Column('text', { name: 'password_hash', nullable: true })
  passwordHash: string | null;

  @Column('text', { name: 'display_name' })
  displayName: string;

  @Column('text', { name: 'avatar_url', nullable: true })
  avatarUrl: string | null;

  /** Whatever the app keeps with its user. */
  @Column('json', { default: () => "'{}'" })
  properties: object;

  /** IANA name, as in Europe/Paris. */
  @Column('text', { nullable: true })
  timezone: string | null;

  @Column('timestamptz', { name: 'first_seen_at', default: () => 'now()' })
  firstSeenAt: Date;

  @Column('timestamptz', { name: 'last_seen_at', default: () => 'now()' })
  lastSeenAt: Date;

  @Column('timestamptz', { name: 'created_at', default: () => 'now()' })
  createdAt: Date;

  @Column('timestamptz', { name: 'updated_at', default: () => 'now()' })
  updatedAt: Date;

  @Column('timestamptz', { name: 'disabled_at', nullable: true })
  disabledAt: Date | null;

  /** Since then nothing is known of the user, who stays disabled. */
  @Column('timestamptz', { name: 'erased_at', nullable: true })
  erasedAt: Date | null;
}
