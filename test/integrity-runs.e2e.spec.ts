import { Logger } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { IntegrityRunsService } from '../src/integrity/integrity-runs.service';
import { INVARIANTS } from '../src/integrity/invariants';
import { cloneDatabase, onWorld, startWorld, type World } from './support/world';

/** The checks that the server makes on its own, and what it tells of them. Rows are bent here: no `useWorld()`. */
const TOKEN = 'what-the-monitoring-system-shows';
const HOUR_MS = 3_600_000;
const NOON = new Date('2026-11-22T12:00:00Z');
const later = (ms: number) => new Date(NOON.getTime() + ms);

const errors = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
beforeEach(() => errors.mockClear());
afterAll(() => errors.mockRestore());

const runDue = (world: World, now: Date) => world.app.get(IntegrityRunsService).runDue(now, HOUR_MS);
const runs = (world: World) =>
  world.db.query(
    'SELECT due_at, report, error, finished_at IS NOT NULL AS ended FROM integrity_runs ORDER BY 1',
  );
const metrics = (world: World, token = TOKEN) =>
  world.http.get('/metrics').set({ authorization: `Bearer ${token}` });

async function bendABalance(world: World): Promise<void> {
  const tenant = await world.tenant();
  const { id: currencyId } = await tenant.currency({ code: 'gems' });
  const { id: userId } = await tenant.player();
  await world.db.query(
    'INSERT INTO balances (project_id, currency_id, user_id, balance) VALUES ($1, $2, $3, 5)',
    [...[tenant.id, currencyId, userId]],
  );
}

it('an interval has one check, whichever of several instances comes first', async () => {
  const database = await cloneDatabase();
  const instances = await Promise.all([1, 2, 3].map(() => startWorld(database.url)));
  const [{ world }] = instances as [(typeof instances)[0]];
  await Promise.all(
    instances.flatMap((instance) => [0, 60_000].map((ms) => runDue(instance.world, later(ms)))),
  );
  await runDue(world, later(HOUR_MS - 1));
  const report = INVARIANTS.map(({ name }) => ({ name, broken_rows: 0 }));
  expect(await runs(world)).toEqual([{ due_at: NOON, report, error: null, ended: true }]);
  await runDue(world, later(HOUR_MS));
  expect((await runs(world)).map(({ due_at }: { due_at: Date }) => due_at)).toEqual([NOON, later(HOUR_MS)]);
  expect(errors).not.toHaveBeenCalled();
  for (const { close } of instances) await close();
  await database.drop();
});

it('what is broken is logged, and told at /metrics by every instance until a check finds it mended', async () => {
  const database = await cloneDatabase();
  const instances = await Promise.all([1, 2].map(() => startWorld(database.url, { metricsToken: TOKEN })));
  const [{ world }, { world: other }] = instances as [(typeof instances)[0], (typeof instances)[0]];
  expect((await metrics(world).expect(200)).text).toMatch(/^amba_integrity_checked_timestamp_seconds 0$/m);

  await bendABalance(world);
  await runDue(world, NOON);
  expect(errors.mock.calls.flat()).toContain('Invariant 9 (balance_is_ledger_sum) is broken by 1 rows');
  for (const instance of [world, other]) {
    const { text, headers } = await metrics(instance).expect(200);
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(text).toMatch(/^amba_integrity_broken_rows\{invariant="balance_is_ledger_sum"\} 1$/m);
    expect(text).toMatch(/^amba_integrity_broken_rows\{invariant="no_double_claim"\} 0$/m);
    const [, checkedAt] = /^amba_integrity_checked_timestamp_seconds (\S+)$/m.exec(text) ?? [];
    expect(Math.abs(Number(checkedAt) - Date.now() / 1000)).toBeLessThan(60);
  }

  await world.db.query('DELETE FROM balances');
  await runDue(other, later(HOUR_MS));
  expect((await metrics(world)).text).toMatch(
    /^amba_integrity_broken_rows\{invariant="balance_is_ledger_sum"\} 0$/m,
  );
  for (const { close } of instances) await close();
  await database.drop();
});

it('a check that fails is kept as failed, and the last good one stays told', () =>
  onWorld({ metricsToken: TOKEN }, async (world) => {
    await runDue(world, NOON);
    await world.db.query('ALTER TABLE analytics_days RENAME TO mislaid');
    await expect(runDue(world, later(HOUR_MS))).rejects.toThrow('analytics_days');
    const [, failed] = await runs(world);
    expect(failed).toMatchObject({
      report: null,
      error: expect.stringContaining('analytics_days'),
      ended: true,
    });
    expect((await metrics(world)).text).toMatch(
      /^amba_integrity_broken_rows\{invariant="no_double_claim"\} 0$/m,
    );
    await world.db.query('ALTER TABLE mislaid RENAME TO analytics_days');
  }));

it('the server makes it unasked', () =>
  onWorld({ integrityIntervalMs: 1_000 }, async (world) => {
    for (let tries = 0; tries < 200; tries += 1) {
      if ((await runs(world)).some(({ ended }: { ended: boolean }) => ended)) break;
      await sleep(50);
    }
    expect((await runs(world))[0]).toMatchObject({ ended: true, error: null });
  }));

it('/metrics is there for those who show the token', async () => {
  await onWorld({ metricsToken: TOKEN }, async (world) => {
    await world.http.get('/metrics').expect(401);
    const { body } = await metrics(world, 'x'.repeat(TOKEN.length)).expect(401);
    expect(body.error.code).toBe('INVALID_TOKEN');
    await metrics(world).expect(200);
  });
  await onWorld({}, async (world) => {
    expect((await metrics(world).expect(404)).body.error.code).toBe('NOT_FOUND');
  });
});
