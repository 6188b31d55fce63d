import { QueryRunnerAlreadyReleasedError, type ObjectLiteral, type SelectQueryBuilder } from 'typeorm';
import { LostLinkError } from './database-error';
import { Page, type PageQuery } from './page';

/**
 * A page of what this query finds, and how many it finds in all. Both are read on one connection of TypeORM's own, which
 * it says is released when it is lost in between; nobody else could have released it.
 *
 * @throws LostLinkError when the connection was lost between the two statements
 */
export async function readPage<Row extends ObjectLiteral>(
  query: SelectQueryBuilder<Row>,
  window: PageQuery,
): Promise<Page<Row>> {
  try {
    const [rows, total] = await query.skip(window.offset).take(window.limit).getManyAndCount();
    return new Page(rows, total, window);
  } catch (error) {
    throw error instanceof QueryRunnerAlreadyReleasedError ? new LostLinkError(error) : error;
  }
}
