import { DataSource } from 'typeorm';
import { inTransaction } from '../src/common/transaction';
import { dataSourceOptions } from '../src/database/data-source-options';
import { PaymentsService } from '../src/rewards/payments.service';
import { expectInvariants } from './support/invariants';
import { TcpProxy } from './support/tcp-proxy';
import { cloneDatabase, startWorld, type Player, type Tenant, type World } from './support/world';

/**
 * BEGIN and ROLLBACK that PostgreSQL refuses on a link that is well, as when an operator cancels what has just ended. A
 * word that it does not know stands for that.
 */

let database: Awaited<ReturnType<typeof cloneDatabase>>;
let proxy: TcpProxy;

beforeEach(async () => {
  database = await cloneDatabase();
  proxy = await TcpProxy.to(database.url);
});

afterEach(async () => {
  await proxy.down();
  await database.drop();
});

/** Spoils the statements that begin with this word, those that `which` says by their number. */
function refuse(word: string, which: (no: number) => boolean): void {
  let no = 0;
  proxy.onClientData = (chunk) => {
    for (let at = chunk.indexOf(word); at >= 0; at = chunk.indexOf(word, at + 1)) {
      if (which(no)) chunk.write('X', at);
      no += 1;
    }
    return 'forward';
  };
}

const always = () => true;

describe('a transaction', () => {
  let db: DataSource;

  beforeEach(async () => {
    db = await new DataSource(dataSourceOptions({ url: proxy.url, poolSize: 1 })).initialize();
    await db.query(`CREATE TABLE wells (name text PRIMARY KEY)`);
  });
  afterEach(() => db.destroy());

  it.each([
    ['with its first statement', []],
    ['alone, before one that cannot share', undefined],
  ])('whose BEGIN is refused, %s, writes nothing', async (_, values) => {
    refuse('START TRANSACTION', always);
    const work = inTransaction(db, (queryRunner) =>
      queryRunner.query(`INSERT INTO wells VALUES ('a')`, values),
    );
    await expect(work).rejects.toMatchObject({ code: '42601' });
    refuse('START TRANSACTION', () => false);
    expect(await db.query(`SELECT name FROM wells`)).toEqual([]);
  });

  it('whose ROLLBACK is refused does not leave its connection to others', async () => {
    refuse('ROLLBACK', always);
    const work = inTransaction(db, (queryRunner) => queryRunner.query(`SELECT 1 / 0`));
    await expect(work).rejects.toMatchObject({ code: '22012' });
    for (let i = 0; i < 3; i += 1) expect(await db.query(`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
  });
});

describe('a claim', () => {
  let world: World;
  let close: () => Promise<void>;
  let tenant: Tenant;
  let grace: Player;

  beforeEach(async () => {
    // spoilt in its text, which one that is prepared says once on each connection
    ({ world, close } = await startWorld(proxy.url, { preparedStatements: false }));
    tenant = await world.tenant({ maxClaimsPerUser: 1 });
    await tenant.currency({ code: 'gems', initialBalance: 10 });
    for (const code of ['ONE', 'TWO', 'THREE']) await tenant.code({ code, rewardReferee: { gems: 5 } });
    grace = await tenant.player();
  });
  afterEach(async () => {
    proxy.onClientData = () => 'forward';
    await expectInvariants(world.db);
    await close();
  });

  it('whose every other BEGIN is refused never passes the limit of claims', async () => {
    const players = await tenant.players(20);
    refuse('START TRANSACTION', (no) => no % 2 === 0);
    for (const player of players) {
      await Promise.all(['ONE', 'TWO', 'THREE'].map((code) => world.claim(player, code)));
    }
    const over = `SELECT referee_id FROM referral_claims GROUP BY referee_id HAVING count(*) > 1`;
    expect(await world.db.query(over)).toEqual([]);
  });

  it('whose own BEGIN is refused makes nothing, and can be made again', async () => {
    refuse('START TRANSACTION', (no) => no === 0);
    await world.claim(grace, 'ONE').expect(500);
    await expectInvariants(world.db);
    await world.claim(grace, 'ONE').expect(201);
    expect(await world.balance(grace, 'gems')).toBe(15);
  });

  it('whose payment may not begin stays promised, without so much as an empty balance', async () => {
    refuse('START TRANSACTION', (no) => no === 1);
    const { body } = await world.claim(grace, 'ONE').expect(201);
    expect(body.data.rewards).toMatchObject([{ status: 'pending' }]);
    expect(await world.db.query(`SELECT balance FROM balances`)).toEqual([]);
    await world.app.get(PaymentsService).payDue(new Date(Date.now() + 3_600_000));
    expect(await world.balance(grace, 'gems')).toBe(15);
  });
});
