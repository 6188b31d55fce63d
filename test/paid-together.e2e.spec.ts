import { setTimeout as sleep } from 'node:timers/promises';
import type { QueryRunner } from 'typeorm';
import { PaymentsService } from '../src/rewards/payments.service';
import { useWorld, type Player, type Tenant } from './support/world';

/** Claims that are made while others are being paid, which one payment then pays. */

const world = useWorld();

const HOUR_MS = 60 * 60 * 1000;

let tenant: Tenant;
let ada: Player;
let holder: QueryRunner;

beforeEach(async () => {
  tenant = await world.tenant();
  ada = await tenant.player();
  await tenant.currency({ code: 'gems', maxBalance: 100 });
  await tenant.currency({ code: 'gold' });
  await tenant.code({
    code: 'GEMS',
    userId: ada.id,
    rewardReferrer: { gems: 30 },
    rewardReferee: { gems: 5 },
  });
  await tenant.code({ code: 'GOLD', rewardReferee: { gold: 7 } });
  await world.claim(await tenant.player(), 'GEMS').expect(201);
  holder = world.db.createQueryRunner();
  await holder.startTransaction();
  await holder.query(`SET LOCAL idle_in_transaction_session_timeout = 0`);
});
afterEach(async () => {
  if (holder.isTransactionActive) await holder.rollbackTransaction();
  await holder.release();
});

const isAnyWaiting = async () =>
  (
    await world.db.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    )
  ).length > 0;

/** Claims of the code by these players, all of them made; they are answered when they are paid. */
async function claims(code: string, players: Player[]) {
  const before = await made();
  const answers = Promise.all(
    players.map(async (player) => (await world.claim(player, code).expect(201)).body),
  );
  while ((await made()) < before + players.length) await sleep(5);
  return { answers: answers.then((bodies) => bodies.map(({ data }) => data.rewards[0])) };
}

const made = async (): Promise<number> =>
  (
    await world.db.query(`SELECT count(*)::int AS n FROM referral_claims WHERE project_id = $1`, [tenant.id])
  )[0].n;

/** For each payment so far how many ledger lines it wrote. */
const payments = async () =>
  (
    await world.db.query(
      `SELECT count(*)::int AS lines FROM currency_transactions WHERE project_id = $1
        GROUP BY xmin ORDER BY min(seq)`,
      [tenant.id],
    )
  ).map(({ lines }: { lines: number }) => lines);

const granted = (currency_code: string, amount: number) => ({
  ...{ currency_code, amount, granted: amount, status: 'granted' },
});
const pending = { currency_code: 'gems', amount: 5, granted: 0, status: 'pending' };

/** Holds up the first payment until all claims are made, and spoils those of the unlucky user. */
async function sabotaged(claimsInAll: number, unlucky: Player | undefined, work: () => Promise<void>) {
  await world.db.query(
    `CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       WHILE (SELECT count(*) FROM referral_claims WHERE project_id = '${tenant.id}') < ${claimsInAll} LOOP
         PERFORM pg_sleep(0.005); END LOOP;
       IF NEW.user_id = '${unlucky?.id ?? tenant.id}' THEN RAISE EXCEPTION 'not you'; END IF;
       RETURN NEW; END $$;
     CREATE TRIGGER sabotage BEFORE INSERT ON currency_transactions FOR EACH ROW EXECUTE FUNCTION sabotage()`,
  );
  try {
    await work();
  } finally {
    await world.db.query(`DROP FUNCTION sabotage CASCADE`);
  }
}

it('are paid in one transaction, who came first to the last unit', async () => {
  const [first, ...others] = (await tenant.players(6)) as [Player, ...Player[]];
  await sabotaged(7, undefined, async () => {
    const alone = await claims('GEMS', [first]);
    const together = [];
    for (const player of others) together.push((await claims('GEMS', [player])).answers);
    expect(await alone.answers).toEqual([granted('gems', 5)]);
    expect((await Promise.all(together)).flat()).toEqual(Array(5).fill(granted('gems', 5)));
  });
  expect(await payments()).toEqual([2, 2, 10]);
  const adas = await world.db.query(
    `SELECT g.granted FROM reward_grants g JOIN referral_claims c ON c.id = g.claim_id
      WHERE g.project_id = $1 AND g.side = 'referrer' ORDER BY c.claimed_at`,
    [tenant.id],
  );
  const amounts = adas.map((grant: { granted: number }) => grant.granted);
  expect(amounts).toEqual([30, 30, 30, 10, 0, 0, 0]);
  expect(await world.balance(ada, 'gems')).toBe(100);
});

it('are paid one by one when one of them cannot be paid', async () => {
  const [first, ...others] = (await tenant.players(5)) as [Player, ...Player[]];
  const [, unlucky] = others;
  await sabotaged(6, unlucky, async () => {
    const alone = await claims('GEMS', [first]);
    const together = await claims('GEMS', others);
    expect(await alone.answers).toEqual([granted('gems', 5)]);
    const [paid, not] = [granted('gems', 5), pending];
    expect(await together.answers).toEqual([paid, not, paid, paid]);
  });
  expect(await payments()).toEqual([2, 2, 2, 2, 2]);
  const grants = await world.db.query(
    `SELECT user_id, attempts, last_error FROM reward_grants WHERE project_id = $1 AND status = 'pending' ORDER BY side`,
    [tenant.id],
  );
  const failed = { attempts: 1, last_error: 'not you' };
  expect(grants).toEqual([
    { user_id: unlucky?.id, ...failed },
    { user_id: ada.id, ...failed },
  ]);
});

it('do not wait for those who owe a currency that is locked, which lose no try', async () => {
  const players = await tenant.players(10);
  await holder.query(`SELECT FROM currencies WHERE project_id = $1 AND code = 'gems' FOR UPDATE`, [
    tenant.id,
  ]);
  const locked = await claims('GEMS', players.slice(0, 6));
  const { answers } = await claims('GOLD', players.slice(6, 9));
  expect(await answers).toEqual(Array(3).fill(granted('gold', 7)));
  expect(await locked.answers).toEqual(Array(6).fill(pending));
  // for those behind the last one that waits nobody waits any more
  while (await isAnyWaiting()) await sleep(20);
  await holder.rollbackTransaction();
  const latecomer = await claims('GEMS', players.slice(9));
  expect(await latecomer.answers).toEqual([granted('gems', 5)]);
  const attempts = () =>
    world.db.query(
      `SELECT status, attempts, count(*)::int AS promises FROM reward_grants
        WHERE project_id = $1 AND currency_code = 'gems' GROUP BY 1, 2 ORDER BY 1, 2`,
      [tenant.id],
    );
  expect(await attempts()).toEqual([
    { status: 'granted', attempts: 1, promises: 4 },
    { status: 'pending', attempts: 0, promises: 12 },
  ]);
  await world.app.get(PaymentsService).payDue(new Date(Date.now() + HOUR_MS));
  expect(await attempts()).toEqual([{ status: 'granted', attempts: 1, promises: 16 }]);
  expect(await world.balance(ada, 'gems')).toBe(100);
});

it('wait for nobody of another project, though it has a currency of that name', async () => {
  const other = await world.tenant();
  await other.currency({ code: 'gems' });
  await other.code({ code: 'GEMS', rewardReferee: { gems: 5 } });
  const players = [...(await tenant.players(8)), ...(await other.players(8))];
  const answers = await Promise.all(players.map((player) => world.claim(player, 'GEMS').expect(201)));
  expect(answers.map(({ body }) => body.data.rewards)).toEqual(Array(16).fill([granted('gems', 5)]));
});
