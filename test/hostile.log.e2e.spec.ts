import { randomUUID } from 'node:crypto';
import { METRICS_TOKEN } from './support/metrics';
import { Secrets } from './support/output';
import { Program } from './support/process';
import { exchange } from './support/raw';
import { newLogin } from './support/stage';
import { World, useWorld, type Tenant } from './support/world';

/**
 * The log of the built server, in both of its forms, while statements fail on it: it tells what failed, and none of the
 * secrets that were sent, issued or stored.
 */
const world = useWorld();

jest.setTimeout(120_000);

describe.each(['development', 'production'])('the log of a server in %s', (NODE_ENV) => {
  const secrets = new Secrets();
  let program: Program;
  let remote: World;
  let tenant: Tenant;

  beforeAll(async () => {
    const { url } = world.db.options as { url: string };
    const [sessionSecret] = world.config.sessionSecrets;
    program = new Program('main', {
      DATABASE_URL: url,
      SESSION_SECRET: sessionSecret,
      PORT: '0',
      NODE_ENV,
      SIGNUP: 'open',
      LOG_LEVEL: 'trace',
      METRICS_TOKEN,
    });
    const output = await program.says('is ready');
    const [address = ''] = /http:\/\/127\.0\.0\.1:\d+/.exec(output) ?? [];
    remote = new World(world.app, world.db, { url: address, config: world.config }, world.conformance);
    tenant = await remote.tenant();
    secrets.add(sessionSecret, METRICS_TOKEN, tenant.clientKey, tenant.serverKey);
  });

  afterAll(async () => {
    program.kill('SIGKILL');
    await program.exit;
  });

  /** Makes every write to the table fail, with all of the row in the error's text, detail and hint. */
  async function whileItFails<T>(table: string, work: () => Promise<T>): Promise<T> {
    await world.db.query(
      `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION 'sabotage of %', TG_TABLE_NAME USING DETAIL = 'Row ' || NEW::text, HINT = NEW::text; END $$`,
    );
    await world.db.query(
      `CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION fail()`,
    );
    try {
      return await work();
    } finally {
      await world.db.query('DROP FUNCTION fail() CASCADE');
    }
  }

  const errorsLogged = () => program.output.split('sabotage of').length - 1;

  it('tells what failed, and nothing of what was sent, issued or stored', async () => {
    const login = newLogin();
    const user = (await remote.auth(tenant, 'email/signup', login).expect(201)).body.data;
    secrets.addFrom(JSON.stringify([login, user]));
    const stored = await world.db.query(
      `SELECT password_hash AS text FROM app_users WHERE project_id = $1 AND password_hash IS NOT NULL
       UNION ALL SELECT encode(digest, 'hex') FROM refresh_tokens UNION ALL SELECT encode(digest, 'hex') FROM api_keys`,
      [tenant.id],
    );
    secrets.add(...stored.map(({ text }: { text: string }) => text), login.email);
    const player = {
      id: user.user.id,
      headers: { 'x-api-key': tenant.clientKey, authorization: `Bearer ${user.session_token}` },
    };

    const other = newLogin();
    secrets.add(other.email);
    secrets.addFrom(JSON.stringify(other));
    const failing: [string, () => PromiseLike<{ status: number; text: string }>][] = [
      ['app_users', () => remote.auth(tenant, 'email/signup', other)],
      [
        'app_users',
        () => remote.http.patch('/v1/client/users/me').set(player.headers).send({ display_name: 'Eve' }),
      ],
      ['refresh_tokens', () => remote.auth(tenant, 'refresh', { refresh_token: user.refresh_token })],
      ['sessions', () => remote.auth(tenant, 'email/login', login)],
      ['developers', () => remote.http.post('/v1/auth/developer/signup').send(other)],
      [
        'api_keys',
        () =>
          remote.http
            .post(`/v1/admin/projects/${tenant.id}/api-keys`)
            .set(tenant.server)
            .send({ key_type: 'server', environment: 'production' }),
      ],
      ['referral_codes', () => remote.http.get(`/v1/client/referrals/my-code`).set(player.headers)],
    ];
    for (const [table, send] of failing) {
      const before = errorsLogged();
      const { status, text } = await whileItFails(table, async () => send());
      expect({ table, status }).toEqual({ table, status: 500 });
      expect(text).not.toMatch(/sabotage|Row|insert|update/i);
      await program.says('sabotage of', before + 1);
      expect(secrets.in(text)).toEqual([]);
    }

    // where they do not belong: in the address, the request's id, and in requests that cannot be read
    const { session_token: token, refresh_token } = user;
    await whileItFails('referral_codes', async () =>
      remote.http
        .get(`/v1/client/referrals/my-code?token=${token}`)
        .set({ ...player.headers, referer: `https://x/?t=${token}` }),
    );
    await remote.http.get(`/v1/client/${tenant.serverKey}/${refresh_token}`).expect(404);
    await remote.http
      .post('/v1/client/auth/refresh')
      .set({ 'x-api-key': tenant.clientKey, 'content-type': 'application/json' })
      .send(`{"refresh_token":"${refresh_token}`)
      .expect(400);
    await exchange(remote.url, `GET /x HTTP/1.1\r\nAuthorization : Bearer ${token}\r\n\r\n`);
    await remote.http
      .get('/v1/client/currencies')
      .set({ ...player.headers, 'x-request-id': tenant.clientKey });
    await remote.http
      .get('/metrics')
      .set({ authorization: `Bearer ${METRICS_TOKEN}` })
      .expect(200);
    const idempotencyKey = randomUUID();
    secrets.add(idempotencyKey);
    await remote.claim(player, 'NOBODYS', { 'idempotency-key': idempotencyKey }).expect(404);
    const developer = await remote.developer();
    secrets.add(developer.password, developer.email, developer.headers.authorization);
    for (const path of ['developer/me', `developer/${developer.headers.authorization.slice(7)}`])
      await remote.http.get(`/v1/auth/${path}`).set(developer.headers);
    const { email, password } = developer;
    const signedIn = await remote.http.post('/v1/auth/developer/login').send({ email, password }).expect(200);
    secrets.addFrom(JSON.stringify(signedIn.body));
    await program.says('GET /v1/auth/developer/me 200');

    expect(program.output).toContain(
      NODE_ENV === 'production' ? '"code":"INTERNAL_ERROR"' : 'INTERNAL_ERROR',
    );
    expect(secrets.in(program.output)).toEqual([]);
  });

  it('tells by its id what belongs to one request, also when it is paid together with others', async () => {
    await tenant.currency({ code: 'gems' });
    await tenant.code({ code: 'PAYS', rewardReferee: { gems: 1 } });
    const players = await tenant.players(3);
    const paid = await whileItFails('balances', () =>
      Promise.all(players.map((player, i) => remote.claim(player, 'PAYS', { 'x-request-id': `claim-${i}` }))),
    );
    for (const [i, { status, body }] of paid.entries()) {
      expect({ status, rewards: body.data.rewards }).toMatchObject({
        ...{ status: 201, rewards: [{ status: 'pending' }] },
      });
      await program.says(`POST /v1/client/referrals/claim 201`, 3);
      const said = program.output
        .split('\n')
        .filter((line) => line.includes(`claim-${i}"`) && !line.includes('could not be paid together'));
      expect(said).toEqual([
        expect.stringContaining('failed (try 1 of 25)'),
        expect.stringContaining(`The rewards of claim ${body.data.id} stay promised`),
        expect.stringContaining('POST /v1/client/referrals/claim 201'),
      ]);
    }
  });

  it('would show a secret, if one were in it: the search finds what is there', () => {
    const planted = `planted-${randomUUID()}`;
    secrets.add(planted);
    expect(secrets.in(`${program.output}\n${planted}`)).toEqual([planted.slice(-24)]);
    expect(errorsLogged()).toBeGreaterThanOrEqual(7);
  });
});
