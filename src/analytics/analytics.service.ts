import { Injectable } from '@nestjs/common';
import type { QueryRunner } from 'typeorm';
import { ApiError } from '../common/api-error';
import { isStatementTimeout } from '../common/database-error';
import { inTransaction } from '../common/transaction';
import { ReadDatabase } from '../database/read-database';
import { days as readDays, rewards as readRewards, type DayRow } from './analytics-queries';
import { daysOf, periodFault, resolvePeriod, type Period } from './period';
import { countReferrers, topReferrers, type Referrers } from './referrers';

/** A project with a million claims from before the first rollup is rolled up in half a minute. */
const BEHIND_RETRY_S = 30;

@Injectable()
export class AnalyticsService {
  constructor(private readonly database: ReadDatabase) {}

  /**
   * The numbers of a period, exact at the moment of the question: rolled-up days and open hours in one snapshot.
   *
   * @param wanted UTC days; the last 30 where nothing is said
   * @param top how many referrers to list
   * @throws ApiError INVALID_INPUT for a period that ends before it starts, or is longer than 366 days;
   *   SERVICE_UNAVAILABLE while too much is not yet rolled up to be counted in time
   */
  async report(projectId: string, wanted: Partial<Period>, top: number) {
    const period = resolvePeriod(wanted, new Date());
    const fault = periodFault(period);
    if (fault) throw ApiError.invalidInput(fault);
    return this.read(projectId, period, top).catch((error: unknown) => {
      if (!isStatementTimeout(error)) throw error;
      throw new ApiError('SERVICE_UNAVAILABLE', {
        message: 'The history of this project is still being added up. Try again shortly.',
        retryAfterS: BEHIND_RETRY_S,
        cause: error,
      });
    });
  }

  private read(projectId: string, period: Period, top: number) {
    const report = async (queryRunner: QueryRunner) => {
      await queryRunner.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
      const days = daysOf(period);
      const referrers = await countReferrers(queryRunner, projectId, { period, days });
      const { before, daily } = byDay(days, await readDays(queryRunner, referrers.window), referrers);
      return {
        period,
        totals: totals(before, daily, referrers),
        rewards: await readRewards(queryRunner, referrers.window),
        top_referrers: await topReferrers(queryRunner, referrers, top),
        daily: daily.map(({ day, codes_made, claims }, index) => ({
          ...{ day, codes_made, claims },
          unique_referrers: referrers.counts.uniquePerDay[index] ?? 0,
        })),
      };
    };
    return this.database.read((dataSource) => inTransaction(dataSource, report));
  }
}

/** One row for each day of the period, and one for all that was before it. */
function byDay(days: string[], rows: DayRow[], { open }: Referrers): { before: DayRow; daily: DayRow[] } {
  const daily = days.map(emptyDay);
  const before = emptyDay('');
  const of = new Map(daily.map((row) => [row.day, row]));
  const rowOf = (day: string) => of.get(day) ?? before;
  for (const { day, ...numbers } of rows) Object.assign(rowOf(day), numbers);
  for (const { day, referrer_id, claims } of open) {
    const row = rowOf(day);
    row.claims += claims;
    if (referrer_id !== null) row.user_code_claims += claims;
  }
  return { before, daily };
}

function emptyDay(day: string): DayRow {
  return { day, codes_made: 0, user_codes_made: 0, claims: 0, user_code_claims: 0, new_referrers: 0 };
}

function totals(before: DayRow, daily: DayRow[], { counts, newNumbers }: Referrers) {
  const sum = (rows: DayRow[], number: Exclude<keyof DayRow, 'day'>) =>
    rows.reduce((total, row) => total + row[number], 0);
  const usersWithCode = sum([before, ...daily], 'user_codes_made');
  const usersWithClaim = sum([before, ...daily], 'new_referrers') + newNumbers.size;
  const userCodeClaims = sum(daily, 'user_code_claims');
  const perUserWithCode = (number: number) => (usersWithCode === 0 ? null : number / usersWithCode);
  return {
    codes_made: sum(daily, 'codes_made'),
    user_codes_made: sum(daily, 'user_codes_made'),
    claims: sum(daily, 'claims'),
    user_code_claims: userCodeClaims,
    unique_referrers: counts.unique,
    users_with_code: usersWithCode,
    users_with_claim: usersWithClaim,
    conversion: perUserWithCode(usersWithClaim),
    k_factor: perUserWithCode(userCodeClaims),
  };
}
