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

const holdAdasBalance = () =>
  holder.query(`SELECT FROM balances WHERE project_id = $1 AND user_id = $2 FOR UPDATE`, [tenant.id, ada.id]);
const holdGems = () =>
  holder.query(`SELECT FROM currencies WHERE project_id = $1 AND code = 'gems' FOR UPDATE`, [tenant.id]);
const letGo = () => holder.rollbackTransaction();

/** So many claims of the code by new players, all of them made; they are answered when they are paid. */
async function claims(code: string, count: number) {
  const players = await tenant.players(count);
  const before = await made();
  const answers = Promise.all(
    players.map(async (player) => (await world.claim(player, code).expect(201)).body),
  );
  while ((await made()) < before + count) await sleep(5);
  return { players, answers: answers.then((bodies) => bodies.map(({ data }) => data.rewards[0])) };
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

it('are paid in one transaction, each to the last unit', async () => {
  await holdAdasBalance();
  const first = await claims('GEMS', 1);
  const others = await claims('GEMS', 9);
  await letGo();
  expect(await first.answers).toEqual([granted('gems', 5)]);
  expect(await others.answers).toEqual(Array(9).fill(granted('gems', 5)));
  expect(await payments()).toEqual([2, 2, 18]);
  expect(await world.balance(ada, 'gems')).toBe(100);
});

it('are paid one by one when one of them cannot be paid', async () => {
  await holdAdasBalance();
  const first = await claims('GEMS', 1);
  const { players, answers } = await claims('GEMS', 4);
  await world.db.query(
    `CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF NEW.user_id = '${players[1]?.id}' THEN RAISE EXCEPTION 'not you'; END IF; RETURN NEW; END $$;
     CREATE TRIGGER sabotage BEFORE INSERT ON currency_transactions FOR EACH ROW EXECUTE FUNCTION sabotage()`,
  );
  try {
    await letGo();
    expect(await first.answers).toEqual([granted('gems', 5)]);
    const [paid, not] = [granted('gems', 5), pending];
    expect(await answers).toEqual([paid, not, paid, paid]);
  } finally {
    await world.db.query(`DROP FUNCTION sabotage CASCADE`);
  }
  expect(await payments()).toEqual([2, 2, 2, 2, 2]);
  const grants = await world.db.query(
    `SELECT user_id, attempts, last_error FROM reward_grants WHERE project_id = $1 AND status = 'pending' ORDER BY side`,
    [tenant.id],
  );
  const failed = { attempts: 1, last_error: 'not you' };
  expect(grants).toEqual([
    { user_id: players[1]?.id, ...failed },
    { user_id: ada.id, ...failed },
  ]);
});

it('do not wait for those who owe a currency that is locked, which lose no try', async () => {
  await holdGems();
  const first = await claims('GEMS', 1);
  const others = await claims('GEMS', 5);
  const { answers } = await claims('GOLD', 3);
  expect(await answers).toEqual(Array(3).fill(granted('gold', 7)));
  expect(await first.answers).toEqual([pending]);
  expect(await others.answers).toEqual(Array(5).fill(pending));
  // the first payment gives up, and those behind it, for whom nobody waits any more
  await sleep(1_500);
  await letGo();
  const latecomer = await claims('GEMS', 1);
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
