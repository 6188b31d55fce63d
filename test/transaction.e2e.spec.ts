import { DataSource, QueryRunnerAlreadyReleasedError, type QueryRunner } from 'typeorm';
import { CommitUnknownError, isDatabaseUnavailable, LostLinkError } from '../src/common/database-error';
import { inTransaction } from '../src/common/transaction';
import { dataSourceOptions } from '../src/database/data-source-options';
import { Project } from '../src/projects/project.entity';
import { PaymentsService } from '../src/rewards/payments.service';
import { positionOf, TcpProxy, type Verdict } from './support/tcp-proxy';
import {
  cloneDatabase,
  startWorld,
  tally,
  useWorld,
  type Player,
  type Tenant,
  type World,
} from './support/world';

describe('a claim whose COMMIT is cut off', () => {
  let world: World;
  let proxy: TcpProxy;
  let tenant: Tenant;
  let grace: Player;
  const closers: (() => Promise<void>)[] = [];

  beforeEach(async () => {
    const database = await cloneDatabase();
    proxy = await TcpProxy.to(database.url);
    const started = await startWorld(proxy.url);
    world = started.world;
    closers.push(started.close, () => proxy.down(), database.drop);
    tenant = await world.tenant();
    await tenant.currency({ code: 'gems' });
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 5 } });
    grace = await tenant.player();
  });

  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });

  it('after it reached the server: the claim is found, answered with 201 and paid', async () => {
    const cuts = cutFirstCommit('forward and cut');
    const { body } = await world.claim(grace, 'PROMO').expect(201);
    expect(cuts()).toBe(1);
    expect(body.data.rewards).toEqual([{ currency_code: 'gems', amount: 5, granted: 5, status: 'granted' }]);
    const again = await world.claim(grace, 'PROMO').expect(400);
    expect(again.body.error.details.claim.id).toBe(body.data.id);
  });

  it('and reaches the server late: the look at the outcome waits for it', async () => {
    const cuts = cutFirstCommit('cut and forward later');
    await world.claim(grace, 'PROMO').expect(201);
    expect(cuts()).toBe(1);
    expect(await world.balance(grace, 'gems')).toBe(5);
  });

  it('before it reached the server: 500 CLAIM_FAILED, and the retry claims', async () => {
    const cuts = cutFirstCommit('cut');
    const failed = await world.claim(grace, 'PROMO').expect(500);
    expect(cuts()).toBe(1);
    expect(failed.body.error.code).toBe('CLAIM_FAILED');
    expect(failed.headers['retry-after']).toBe('1');
    await world.claim(grace, 'PROMO').expect(201);
    expect(await world.balance(grace, 'gems')).toBe(5);
  });

  it.each([
    ['forward and cut', 1],
    ['cut', 0],
  ] as const)('at another write: 503 that says that it may be done (%s)', async (verdict, made) => {
    const body = { code: 'gold', name: 'Gold' };
    const cuts = cutFirstCommit(verdict);
    const { headers, body: answer } = await world.http
      .post(`/v1/admin/projects/${tenant.id}/currencies`)
      .set(tenant.server)
      .send(body)
      .expect(503);
    expect(cuts()).toBe(1);
    expect(headers['retry-after']).toBe('1');
    expect(answer.error).toMatchObject({
      code: 'SERVICE_UNAVAILABLE',
      message: 'The database was lost at the last moment: it may be done. Look before you do it again.',
    });
    expect(await world.db.query(`SELECT id FROM currencies WHERE code = 'gold'`)).toHaveLength(made);
  });

  it('at the payment: no try is counted against the promise, and the sweep pays it', async () => {
    let commits = 0;
    proxy.onClientData = (chunk) => (isCommit(chunk) && (commits += 1) === 2 ? 'cut' : 'forward');
    const { body } = await world.claim(grace, 'PROMO').expect(201);
    expect(body.data.rewards).toMatchObject([{ status: 'pending' }]);
    expect(commits).toBe(2);
    expect(await world.db.query('SELECT attempts, last_error FROM reward_grants')).toEqual([
      { attempts: 0, last_error: null },
    ]);
    await world.app.get(PaymentsService).payDue(new Date(Date.now() + 60_000));
    expect(await world.balance(grace, 'gems')).toBe(5);
  });

  const isCommit = (chunk: Buffer) => positionOf('COMMIT', chunk) >= 0;

  function cutFirstCommit(verdict: Verdict): () => number {
    let cuts = 0;
    proxy.onClientData = (chunk) => {
      if (cuts > 0 || !isCommit(chunk)) return 'forward';
      cuts += 1;
      return verdict;
    };
    return () => cuts;
  }
});

describe('a link that falls silent', () => {
  it('costs the one who waits his time, and nobody after him', async () => {
    const database = await cloneDatabase();
    const proxy = await TcpProxy.to(database.url);
    const options = dataSourceOptions({ url: proxy.url, poolSize: 1 });
    const narrow = await new DataSource({
      ...options,
      extra: { ...options.extra, silenceTimeoutMs: 300 },
    }).initialize();
    try {
      let swallowed = 0;
      proxy.onClientData = (chunk) => (chunk.includes('lost') && (swallowed += 1) ? 'swallow' : 'forward');
      await expect(narrow.query(`SELECT 'lost'`)).rejects.toThrow('Query read timeout');
      expect(await narrow.query(`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
      await expect(
        inTransaction(narrow, (queryRunner) => queryRunner.query(`SELECT 'lost'`)),
      ).rejects.toThrow('Query read timeout');
      expect(await narrow.query(`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
      expect(swallowed).toBe(2);
    } finally {
      await narrow.destroy();
      await proxy.down();
      await database.drop();
    }
  });
});

describe('inTransaction', () => {
  const world = useWorld();
  let tries: number;

  beforeEach(() => {
    tries = 0;
  });

  const raise = (state: string, times: number) =>
    inTransaction(world.db, async (queryRunner) => {
      tries += 1;
      const [{ id }] = await queryRunner.query(`SELECT txid_current() AS id`);
      if (tries <= times)
        await queryRunner.query(`DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '${state}'; END $$`);
      return id;
    });

  it.each(['40001', '40P01'])('runs again in a new transaction after %s', async (state) => {
    await expect(raise(state, 2)).resolves.toEqual(expect.any(Number));
    expect(tries).toBe(3);
  });

  it('gives up after three tries', async () => {
    await expect(raise('40001', 3)).rejects.toMatchObject({ code: '40001' });
    expect(tries).toBe(3);
  });

  it.each(['23505', '55P03', '57014'])('does not repeat %s', async (state) => {
    await expect(raise(state, 1)).rejects.toMatchObject({ code: state });
    expect(tries).toBe(1);
  });

  it('rolls back, rethrows and gives the connection back', async () => {
    const narrow = await new DataSource(
      dataSourceOptions({ url: databaseUrlOf(world), poolSize: 1 }),
    ).initialize();
    try {
      for (let i = 0; i < 3; i += 1) {
        await expect(
          inTransaction(narrow, async (queryRunner) => {
            await queryRunner.query(`INSERT INTO projects (name) VALUES ('rolled back')`);
            throw new Error('changed my mind');
          }),
        ).rejects.toThrow('changed my mind');
      }
      const [{ count }] = await narrow.query(`SELECT count(*) FROM projects WHERE name = 'rolled back'`);
      expect(count).toBe(0);
    } finally {
      await narrow.destroy();
    }
  });

  it('passes on why PostgreSQL refused a COMMIT: that outcome is known', async () => {
    await world.db.query(
      `CREATE TABLE deferred (id int, CONSTRAINT once UNIQUE (id) DEFERRABLE INITIALLY DEFERRED)`,
    );
    const commit = inTransaction(world.db, (queryRunner) =>
      queryRunner.query(`INSERT INTO deferred VALUES (1), (1)`),
    );
    await expect(commit).rejects.toMatchObject({ code: '23505', constraint: 'once' });
  });

  it('does not take a COMMIT for done that rolled back, after an error that the work kept to itself', async () => {
    const commit = inTransaction(world.db, async (queryRunner) => {
      await queryRunner.query(`INSERT INTO projects (name) VALUES ('rolled back')`);
      await queryRunner.query('SELECT 1 / 0').catch(() => undefined);
    });
    await expect(commit).rejects.toMatchObject({
      code: '40000',
      message: 'COMMIT was answered with ROLLBACK',
    });
    expect(await world.db.query(`SELECT id FROM projects WHERE name = 'rolled back'`)).toEqual([]);
  });

  it.each<[string, (queryRunner: QueryRunner) => Promise<unknown>]>([
    ['runner', (queryRunner) => queryRunner.query(`SELECT 1`)],
    ['manager', ({ manager }) => manager.query(`SELECT 1`)],
    ['repository', ({ manager }) => manager.find(Project)],
  ])(
    'says that the database is away when its connection was ended between two statements: %s',
    async (_, ask) => {
      const interrupted = inTransaction(world.db, async (queryRunner) => {
        await loseLink(queryRunner);
        await ask(queryRunner);
      });
      const error: unknown = await interrupted.catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(LostLinkError);
      expect(isDatabaseUnavailable(error)).toBe(true);
    },
  );

  it('and also when that was before COMMIT, whose outcome is looked up', async () => {
    const error: unknown = await inTransaction(world.db, loseLink).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CommitUnknownError);
    expect(isDatabaseUnavailable(error)).toBe(true);
  });

  it('does not blame the database for a runner that is used after its transaction', async () => {
    const kept = await inTransaction(world.db, (queryRunner) => Promise.resolve(queryRunner));
    for (const use of [kept.query('SELECT 1'), inTransaction(world.db, () => kept.query('SELECT 1'))]) {
      const error: unknown = await use.catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(QueryRunnerAlreadyReleasedError);
      expect(isDatabaseUnavailable(error)).toBe(false);
    }
  });

  it('loses nothing when its connections are killed: every user who retries ends with one claim', async () => {
    const tenant = await world.tenant();
    await tenant.currency({ code: 'gems' });
    await tenant.code({ code: 'PROMO', rewardReferee: { gems: 5 } });
    const players = await tenant.players(30);
    const killer = new DataSource(dataSourceOptions({ url: databaseUrlOf(world), poolSize: 1 }));
    await killer.initialize();
    const killing = setInterval(() => {
      void killer.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
      );
    }, 30);
    setTimeout(() => clearInterval(killing), 1_000);
    const answers = await Promise.all(players.map((player) => claimUntilAnswered(player)));
    expect(new Set(answers)).toEqual(
      new Set(answers.includes('400 ALREADY_CLAIMED') ? ['201', '400 ALREADY_CLAIMED'] : ['201']),
    );
    const [{ claims }] = await world.db.query(
      `SELECT count(*) AS claims FROM referral_claims WHERE project_id = $1`,
      [tenant.id],
    );
    expect(claims).toBe(30);
    await killer.destroy();
    await world.app.get(PaymentsService).payDue(new Date(Date.now() + 60_000));
    expect(await Promise.all(players.map((player) => world.balance(player, 'gems')))).toEqual(
      Array(30).fill(5),
    );
  });

  async function loseLink(queryRunner: QueryRunner): Promise<void> {
    const [{ pid }] = await queryRunner.query(`SELECT pg_backend_pid() AS pid`);
    await world.db.query(`SELECT pg_terminate_backend($1)`, [pid]);
    while (!queryRunner.isReleased) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  /** As a published client does, only longer: again on every 5xx. */
  async function claimUntilAnswered(player: Player): Promise<string> {
    for (let tries = 0; tries < 100; tries += 1) {
      const response = await world.claim(player, 'PROMO');
      const [outcome = ''] = Object.keys(tally([response]));
      if (response.status < 500) return outcome;
      expect(['500 CLAIM_FAILED', '503 SERVICE_UNAVAILABLE']).toContain(outcome);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return 'no answer';
  }
});

function databaseUrlOf(world: World): string {
  return (world.db.options as { url: string }).url;
}
