import type { DataSource } from 'typeorm';
import { IntegrityService } from '../../src/integrity/integrity.service';

/** Fails with the invariants that are broken in any project, and their rows. */
export async function expectInvariants(db: DataSource): Promise<void> {
  const { invariants } = await new IntegrityService(db).check(null);
  const broken = invariants.filter(({ ok }) => !ok).map(({ name, rows }) => ({ name, rows }));
  expect(broken).toEqual([]);
}
