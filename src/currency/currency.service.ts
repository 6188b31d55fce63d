import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { IsNull, type DataSource, type EntityManager, type QueryRunner } from 'typeorm';
import { AuditLogService, type Change } from '../audit/audit-log.service';
import type { Actor } from '../auth/actor';
import { ApiError } from '../common/api-error';
import type { ErrorCode } from '../common/error-catalogue';
import { violatedRule } from '../common/database-error';
import { definedOnly } from '../common/defined-only';
import type { Page, PageQuery } from '../common/page';
import { readPage } from '../common/read-page';
import { MAX_AMOUNT } from './amount';
import { Currency } from './currency.entity';

export interface NewCurrency {
  /** 1 to 32 letters, digits, `_` and `-`, a letter first. */
  code: string;
  name: string;
  description?: string | null;
  isPremium?: boolean;
  /** 0 when not given; at most `maxBalance`. */
  initialBalance?: number;
  /** 2^53 - 1, which is no limit, when not given. */
  maxBalance?: number;
}

/** What may change of a currency. Its code may not: rewards name it. */
export interface CurrencyChanges {
  name?: string;
  description?: string | null;
  isPremium?: boolean;
  initialBalance?: number;
  maxBalance?: number;
}

const DEFAULTS = { description: null, isPremium: false, initialBalance: 0, maxBalance: MAX_AMOUNT };

const REFUSAL_BY_RULE: Record<string, ErrorCode> = {
  currencies_code_unique: 'CURRENCY_EXISTS',
  currencies_max_balance_covers_balances: 'MAX_BALANCE_TOO_LOW',
};

@Injectable()
export class CurrencyService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly auditLog: AuditLogService,
  ) {}

  /**
   * Defines a currency. A code that was deleted is taken up again, with its balances and history, and with what it was
   * where nothing else is said.
   *
   * @throws ApiError CURRENCY_EXISTS, or MAX_BALANCE_TOO_LOW when balances from before stand above the new maximum
   */
  create(by: Actor, projectId: string, currency: NewCurrency): Promise<Currency> {
    const given = definedOnly(currency);
    return this.write(by, projectId, 'currency.create', async ({ manager }) => {
      const existing = await manager.findOne(Currency, {
        where: { projectId, code: currency.code },
        lock: { mode: 'pessimistic_write' },
      });
      if (existing && existing.deletedAt === null) throw new ApiError('CURRENCY_EXISTS');
      const { initialBalance, maxBalance } = { ...DEFAULTS, ...existing, ...given };
      if (initialBalance > maxBalance) throw initialTooHigh();
      if (existing) await assertCovered(manager, existing, maxBalance);
      const { id } = await manager.save(Currency, {
        ...DEFAULTS,
        ...existing,
        ...given,
        ...{ projectId, deletedAt: null },
      });
      await manager.update(Currency, { projectId, id }, { updatedAt: () => 'clock_timestamp()' });
      const made = await manager.findOneByOrFail(Currency, { projectId, id });
      return { result: made, targetId: made.id, before: existing ?? undefined, after: made };
    });
  }

  /**
   * Changes what is given. A higher maximum lets later credits through; it does not pay what was clamped before.
   *
   * @throws ApiError NOT_FOUND, MAX_BALANCE_TOO_LOW, INVALID_INPUT when the initial balance exceeds the maximum
   */
  update(by: Actor, projectId: string, id: string, changes: CurrencyChanges): Promise<Currency> {
    return this.write(by, projectId, 'currency.update', async ({ manager }) => {
      const before = await lockCurrency(manager, projectId, id);
      const given = definedOnly(changes);
      const { initialBalance, maxBalance } = { ...before, ...given };
      if (maxBalance < before.maxBalance) await assertCovered(manager, before, maxBalance);
      if (initialBalance > maxBalance) throw initialTooHigh();
      await manager.update(Currency, { projectId, id }, { ...given, updatedAt: () => 'clock_timestamp()' });
      const after = await manager.findOneByOrFail(Currency, { projectId, id });
      return { result: after, targetId: id, before, after };
    });
  }

  /** Deletes a currency softly: balances, history and promised rewards stay. @throws ApiError NOT_FOUND */
  delete(by: Actor, projectId: string, id: string): Promise<Currency> {
    return this.write(by, projectId, 'currency.delete', async ({ manager }) => {
      const before = await lockCurrency(manager, projectId, id);
      await manager.update(
        Currency,
        { projectId, id },
        {
          ...{ deletedAt: () => 'clock_timestamp()', updatedAt: () => 'clock_timestamp()' },
        },
      );
      return { result: before, targetId: id, before };
    });
  }

  /** The currencies of a project, oldest first. */
  async list(projectId: string, window: PageQuery): Promise<Page<Currency>> {
    const query = this.dataSource
      .getRepository(Currency)
      .createQueryBuilder('c')
      .where({ projectId, deletedAt: IsNull() })
      .orderBy({ 'c.createdAt': 'ASC', 'c.code': 'ASC' });
    return readPage(query, window);
  }

  /** The currency with this code. @throws ApiError NOT_FOUND */
  async getByCode(projectId: string, code: string): Promise<Currency> {
    const currency = await this.dataSource.manager.findOne(Currency, {
      where: { projectId, code, deletedAt: IsNull() },
    });
    if (currency === null) throw new ApiError('NOT_FOUND', { message: `There is no currency ${code}.` });
    return currency;
  }

  /** The codes of the project's currencies, those given or all of them. */
  async codes(projectId: string): Promise<Set<string>> {
    const rows = await this.dataSource
      .getRepository(Currency)
      .find({ where: { projectId, deletedAt: IsNull() }, select: { code: true } });
    return new Set(rows.map((row) => row.code));
  }

  /** Writes a currency with its line in the audit log; what a constraint refuses has its code. */
  private async write(
    by: Actor,
    projectId: string,
    action: string,
    work: (queryRunner: QueryRunner) => Promise<CurrencyChange>,
  ): Promise<Currency> {
    try {
      return await this.auditLog.write(by, { projectId }, action, async (queryRunner) => {
        const { before, after, ...change } = await work(queryRunner);
        return { ...change, before: before && toCurrencyJson(before), after: after && toCurrencyJson(after) };
      });
    } catch (error) {
      const rule = violatedRule(error);
      if (rule === 'currencies_initial_balance_range') throw initialTooHigh();
      const refusal = REFUSAL_BY_RULE[rule ?? ''];
      throw refusal === undefined ? error : new ApiError(refusal, { cause: error });
    }
  }
}

interface CurrencyChange extends Change<Currency> {
  before?: Currency;
  after?: Currency;
}

async function lockCurrency(manager: EntityManager, projectId: string, id: string): Promise<Currency> {
  const currency = await manager.findOne(Currency, {
    where: { projectId, id, deletedAt: IsNull() },
    lock: { mode: 'pessimistic_write' },
  });
  if (currency === null)
    throw new ApiError('NOT_FOUND', { message: `There is no currency ${id} in this project.` });
  return currency;
}

/** Under the lock on the currency no balance of it can rise. @throws ApiError MAX_BALANCE_TOO_LOW with how many are above */
async function assertCovered(
  manager: EntityManager,
  { projectId, id }: Currency,
  maxBalance: number,
): Promise<void> {
  const [above] = await manager.query<[{ users_above: number; highest_balance: number | null }]>(
    `SELECT count(*) AS users_above, max(balance) AS highest_balance
       FROM balances WHERE project_id = $1 AND currency_id = $2 AND balance > $3`,
    [projectId, id, maxBalance],
  );
  const { users_above: users, highest_balance: highest } = above;
  if (users === 0) return;
  const message = `${users} ${users === 1 ? 'user stands' : 'users stand'} above this maximum. Choose at least ${highest}.`;
  throw new ApiError('MAX_BALANCE_TOO_LOW', { message, details: above });
}

function initialTooHigh(): ApiError {
  return ApiError.invalidInput({
    field: 'initial_balance',
    message: 'must not be above max_balance; change both',
  });
}

/** A currency as developers see it. */
export function toCurrencyJson(currency: Currency) {
  return {
    id: currency.id,
    code: currency.code,
    name: currency.name,
    description: currency.description,
    is_premium: currency.isPremium,
    initial_balance: currency.initialBalance,
    max_balance: currency.maxBalance === MAX_AMOUNT ? null : currency.maxBalance,
    created_at: currency.createdAt,
    updated_at: currency.updatedAt,
  };
}
