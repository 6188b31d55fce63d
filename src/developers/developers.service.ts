import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, QueryRunner } from 'typeorm';
import { AuditLogService } from '../audit/audit-log.service';
import type { Actor } from '../auth/actor';
import { digestOf, shownPrefix } from '../auth/api-key';
import { normalizedEmail } from '../auth/email';
import { assertAcceptable, hashPassword, verifyPassword } from '../auth/passwords';
import { generatePersonalAccessToken } from '../auth/personal-access-token';
import { ApiError } from '../common/api-error';
import { violatedUnique } from '../common/database-error';
import { BASE62, randomText } from '../common/random-text';
import { inTransaction } from '../common/transaction';
import { CONFIG, type Config } from '../config';

export interface DeveloperRow {
  id: string;
  email: string;
  name: string | null;
  created_at: Date;
  updated_at: Date;
}

/** A personal access token as it can be shown. */
export interface PatRow {
  id: string;
  prefix: string;
  created_at: Date;
  last_used_at: Date | null;
}

export interface NewDeveloper {
  email: string;
  password: string;
  name?: string;
}

/** A developer and what is shown of them once. */
export interface CreatedDeveloper {
  developer: DeveloperRow;
  pat: string;
}

/** Where a request came from, before it is known who sent it. */
export type Origin = Pick<Actor, 'address' | 'requestId'>;

const COLUMNS = 'id, email, name, created_at, updated_at';
const PAT_COLUMNS = 'id, prefix, created_at, last_used_at';

/** The accounts of developers, who run one or more apps here. */
@Injectable()
export class DevelopersService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly auditLog: AuditLogService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Lets a developer sign up, if `SIGNUP` allows it.
   *
   * @param also what belongs to a new account and must stand or fall with it
   * @throws ApiError INVALID_INPUT, WEAK_PASSWORD, EMAIL_EXISTS, SIGNUP_CLOSED
   */
  async signUp<T>(
    values: NewDeveloper,
    origin: Origin,
    also: (queryRunner: QueryRunner, by: Actor, developer: DeveloperRow, passwordHash: string) => Promise<T>,
  ): Promise<CreatedDeveloper & { more: T }> {
    const { signup } = this.config;
    if (signup === 'closed') throw new ApiError('SIGNUP_CLOSED');
    const passwordHash = await hashAcceptable(values.password);
    return inTransaction(this.dataSource, async (queryRunner) => {
      if (signup === 'first') await assertFirst(queryRunner);
      const developer = await insert(queryRunner, values, passwordHash);
      const by = developerActor(developer, origin);
      const pat = await this.complete(queryRunner, developer, by);
      return { developer, pat, more: await also(queryRunner, by, developer, passwordHash) };
    });
  }

  /**
   * Makes an account for somebody else.
   *
   * @throws ApiError INVALID_INPUT, WEAK_PASSWORD, EMAIL_EXISTS
   */
  async create(by: Actor, values: NewDeveloper): Promise<CreatedDeveloper> {
    const passwordHash = await hashAcceptable(values.password);
    return inTransaction(this.dataSource, async (queryRunner) => {
      const developer = await insert(queryRunner, values, passwordHash);
      return { developer, pat: await this.complete(queryRunner, developer, by) };
    });
  }

  /** @throws ApiError INVALID_CREDENTIALS, in the same time for an unknown e-mail and a wrong password */
  async authenticate(
    email: string,
    password: string,
  ): Promise<{ developer: DeveloperRow; passwordHash: string }> {
    const [found] = await this.dataSource.query<(DeveloperRow & { passwordHash: string })[]>(
      `SELECT ${COLUMNS}, password_hash AS "passwordHash" FROM developers WHERE email = $1`,
      [email.trim().toLowerCase()],
    );
    const isRight = await verifyPassword(password, found?.passwordHash);
    if (!found || !isRight) throw new ApiError('INVALID_CREDENTIALS');
    return { developer: found, passwordHash: found.passwordHash };
  }

  /** A developer with the personal access token in force. @throws ApiError NOT_FOUND */
  async get(id: string): Promise<{ developer: DeveloperRow; pat: PatRow }> {
    const [developer] = await this.dataSource.query<DeveloperRow[]>(
      `SELECT ${COLUMNS} FROM developers WHERE id = $1`,
      [id],
    );
    if (developer === undefined) throw new ApiError('NOT_FOUND');
    const [pat] = await this.dataSource.query<[PatRow]>(
      `SELECT ${PAT_COLUMNS} FROM personal_access_tokens WHERE developer_id = $1 AND revoked_at IS NULL`,
      [id],
    );
    return { developer, pat };
  }

  /** @throws ApiError NOT_FOUND */
  async findByEmail(email: string): Promise<DeveloperRow> {
    const [developer] = await this.dataSource.query<DeveloperRow[]>(
      `SELECT ${COLUMNS} FROM developers WHERE email = $1`,
      [emailOf(email)],
    );
    if (developer === undefined)
      throw new ApiError('NOT_FOUND', { message: `There is no developer ${email}.` });
    return developer;
  }

  /** Replaces the personal access token: the old one stops working at once. @returns the new one, shown once */
  rotatePat(by: Actor, developerId: string): Promise<string> {
    return this.auditLog.write(by, { developerId }, 'pat.rotate', async (queryRunner) => {
      const { token, pat } = await replacePat(queryRunner, developerId);
      return { result: token, targetId: pat.id, after: pat };
    });
  }

  /**
   * Lets a developer who lost control of the account begin anew: a random password and another personal access token,
   * shown once. Whoever had got in is out.
   */
  async resetPassword(by: Actor, developerId: string): Promise<{ password: string; pat: string }> {
    const password = randomText(BASE62, 20);
    const passwordHash = await hashPassword(password);
    return this.auditLog.write(by, { developerId }, 'developer.reset_password', async (queryRunner) => {
      const { token, pat } = await replacePat(queryRunner, developerId);
      await queryRunner.query(
        `UPDATE developers SET password_hash = $2, updated_at = clock_timestamp() WHERE id = $1`,
        [developerId, passwordHash],
      );
      await queryRunner.query(
        `UPDATE developer_sessions SET revoked_at = clock_timestamp() WHERE developer_id = $1 AND revoked_at IS NULL`,
        [developerId],
      );
      return { result: { password, pat: token }, targetId: developerId, after: { pat } };
    });
  }

  /** @returns the personal access token that every account begins with */
  private async complete(queryRunner: QueryRunner, developer: DeveloperRow, by: Actor): Promise<string> {
    const { token } = await issuePat(queryRunner, developer.id);
    const entry = { action: 'developer.create', targetId: developer.id, after: developer };
    await this.auditLog.record(queryRunner, by, { developerId: developer.id }, entry);
    return token;
  }
}

/** A developer who has only just become known, as the one who acts. */
function developerActor({ id, email }: DeveloperRow, origin: Origin): Actor {
  return { kind: 'developer', id, name: email, ...origin };
}

function hashAcceptable(password: string): Promise<string> {
  assertAcceptable(password);
  return hashPassword(password);
}

/** @throws ApiError INVALID_INPUT, as the contract has it for developers */
function emailOf(text: string): string {
  const email = normalizedEmail(text);
  if (email === undefined)
    throw ApiError.invalidInput({ field: 'email', message: 'is not an e-mail address' });
  return email;
}

/** Nobody else signs up until this transaction ends. @throws ApiError SIGNUP_CLOSED */
async function assertFirst(queryRunner: QueryRunner): Promise<void> {
  await queryRunner.query('LOCK TABLE developers IN SHARE ROW EXCLUSIVE MODE');
  const rows = (await queryRunner.query('SELECT FROM developers LIMIT 1')) as object[];
  if (rows.length > 0) throw new ApiError('SIGNUP_CLOSED');
}

/** @throws ApiError INVALID_INPUT, EMAIL_EXISTS */
async function insert(
  queryRunner: QueryRunner,
  { email, name }: NewDeveloper,
  passwordHash: string,
): Promise<DeveloperRow> {
  try {
    const [developer] = (await queryRunner.query(
      `INSERT INTO developers (email, password_hash, name) VALUES ($1, $2, $3) RETURNING ${COLUMNS}`,
      [emailOf(email), passwordHash, name ?? null],
    )) as [DeveloperRow];
    return developer;
  } catch (error) {
    throw violatedUnique(error) ? new ApiError('EMAIL_EXISTS', { cause: error }) : error;
  }
}

async function issuePat(
  queryRunner: QueryRunner,
  developerId: string,
): Promise<{ token: string; pat: PatRow }> {
  const token = generatePersonalAccessToken();
  const [pat] = (await queryRunner.query(
    `INSERT INTO personal_access_tokens (developer_id, prefix, digest) VALUES ($1, $2, $3) RETURNING ${PAT_COLUMNS}`,
    [developerId, shownPrefix(token), digestOf(token)],
  )) as [PatRow];
  return { token, pat };
}

async function replacePat(
  queryRunner: QueryRunner,
  developerId: string,
): Promise<{ token: string; pat: PatRow }> {
  // two at once take turns: the later one revokes what the earlier one made
  await queryRunner.query(`SELECT FROM developers WHERE id = $1 FOR UPDATE`, [developerId]);
  await queryRunner.query(
    `UPDATE personal_access_tokens SET revoked_at = clock_timestamp() WHERE developer_id = $1 AND revoked_at IS NULL`,
    [developerId],
  );
  return issuePat(queryRunner, developerId);
}
