import { HousekeepingService } from '../../src/housekeeping/housekeeping.service';
import type { World } from './world';

export const METRICS_TOKEN = 'what-the-monitoring-system-shows';

/** One run of an instance. */
export function removeDue(world: World, signal?: AbortSignal): Promise<void> {
  return world.app.get(HousekeepingService).removeDue(signal);
}

/** @param from a table, and WHERE if need be */
export async function countOf(world: World, from: string): Promise<number> {
  const [{ rows }] = await world.db.query(`SELECT count(*) AS rows FROM ${from}`);
  return rows;
}

/** What an instance with `METRICS_TOKEN` says that it removed. */
export async function removedRows(world: World, table: string): Promise<number> {
  const { text } = await world.http
    .get('/metrics')
    .set({ authorization: `Bearer ${METRICS_TOKEN}` })
    .expect(200);
  const sample = `^amba_housekeeping_removed_rows_total\\{table="${table}"\\} (\\d+)$`;
  return Number(new RegExp(sample, 'm').exec(text)?.[1]);
}

/** As if so many seconds had passed for refresh tokens: named themselves, or by their sessions. */
export function ageTokens(world: World, ids: (string | undefined)[], seconds: number): Promise<unknown> {
  const moved = ['created_at', 'used_at', 'expires_at'].map(
    (column) => `${column} = ${column} - make_interval(secs => $2)`,
  );
  return world.db.query(
    `UPDATE refresh_tokens SET ${moved.join(', ')} WHERE session_id = ANY ($1) OR id = ANY ($1)`,
    [ids, seconds],
  );
}
