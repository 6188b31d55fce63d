import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../src/database/data-source-options';
import { IntegrityService } from '../../src/integrity/integrity.service';

/** Fails with the invariants that are broken in any project, and their rows. */
export async function expectInvariants(db: DataSource): Promise<void> {
  const { invariants } = await new IntegrityService(db).check(null);
  const broken = invariants.filter(({ ok }) => !ok).map(({ name, rows }) => ({ name, rows }));
  expect(broken).toEqual([]);
}

/** The same for a database that only other processes are connected to. */
export async function expectInvariantsAt(url: string): Promise<void> {
  const db = await new DataSource(dataSourceOptions({ url, poolSize: 1 })).initialize();
  try {
    await expectInvariants(db);
  } finally {
    await db.destroy();
  }
}
