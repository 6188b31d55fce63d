import { limitedTo, tally, useWorld, type Tenant } from './support/world';

const world = useWorld({ ...limitedTo({ 'guess-user': 10, 'guess-address': 30 }), trustProxy: 1 });

let tenant: Tenant;
let address: { 'x-forwarded-for': string };
let addresses = 0;

const nextAddress = () => ({ 'x-forwarded-for': `10.0.0.${(addresses += 1)}` });

beforeEach(async () => {
  tenant = await world.tenant();
  await tenant.code({ code: 'RIGHT' });
  address = nextAddress();
});

const times = <T>(count: number, work: (i: number) => PromiseLike<T>) =>
  Promise.all(Array.from({ length: count }, (_, i) => work(i)));

describe('guesses at codes', () => {
  it.each(['one after another', 'at once'])(
    'end after ten wrong ones a minute, %s; even a right one then',
    async (how) => {
      const player = await tenant.player();
      const attempt = (i: number) => world.claim(player, `WRONG${i}`, address);
      const responses = how === 'at once' ? await times(15, attempt) : [];
      while (responses.length < 15) responses.push(await attempt(responses.length));
      expect(tally(responses)).toEqual({ '404 INVALID_CODE': 10, '429 RATE_LIMITED': 5 });
      const refused = await world.claim(player, 'RIGHT', address).expect(429);
      expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(50);
      expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(60);
      await world.claim(await tenant.player(), 'RIGHT', address).expect(201);
    },
  );

  it('end after thirty from one address, whoever makes them; other addresses go on', async () => {
    const players = await tenant.players(7);
    const responses = await times(35, (i) => world.claim(players[i % 7]!, `WRONG${i}`, address));
    expect(tally(responses)).toEqual({ '404 INVALID_CODE': 30, '429 RATE_LIMITED': 5 });
    const fresh = await tenant.player();
    await world.claim(fresh, 'RIGHT', address).expect(429);
    await world.claim(fresh, 'RIGHT', nextAddress()).expect(201);
  });

  it('are counted when they are wrong only', async () => {
    const player = await tenant.player();
    const responses = await times(40, () => world.claim(player, 'RIGHT', address));
    expect(tally(responses)).toEqual({ '201': 1, '400 ALREADY_CLAIMED': 39 });
  });
});

describe('guesses at passwords', () => {
  it('end after ten wrong ones for one e-mail, however it is written, and leave others alone', async () => {
    const password = 'correct horse';
    for (const email of ['ada@example.com', 'grace@example.com']) {
      await world.auth(tenant, 'email/signup', { email, password }).expect(201);
    }
    const logIn = (email: string, typed: string) =>
      world.auth(tenant, 'email/login', { email, password: typed }).set(address);
    const responses = await times(12, (i) =>
      logIn(i % 2 ? 'ada@example.com' : 'ADA@example.com ', 'wrong horse'),
    );
    expect(tally(responses)).toEqual({ '401 INVALID_CREDENTIALS': 10, '429 RATE_LIMITED': 2 });
    expect(
      tally([await logIn('ada@example.com', password), await logIn('grace@example.com', password)]),
    ).toEqual({
      '429 RATE_LIMITED': 1,
      '200': 1,
    });
  });
});

describe('sign-ups', () => {
  it('are no way to guess at a password: ten refusals a minute', async () => {
    const email = 'turing@example.com';
    const guest = (await world.auth(tenant, 'anonymous').expect(201)).body.data.session_token;
    const signUp = (password: string) =>
      world.auth(tenant, 'email/signup', { email, password }, guest).set(address);
    await signUp('correct horse').expect(201);
    expect(tally(await times(12, () => signUp('wrong horse')))).toEqual({
      '409 USER_EXISTS': 10,
      '429 RATE_LIMITED': 2,
    });
    expect(tally([await signUp('correct horse')])).toEqual({ '429 RATE_LIMITED': 1 });
  });
});

describe('an address', () => {
  const direct = useWorld(limitedTo({ 'guess-user': 100, 'guess-address': 5 }));

  it('that no trusted proxy vouches for is the one of the connection', async () => {
    const player = await (await direct.tenant()).player();
    const responses = await times(8, (i) =>
      direct.claim(player, `WRONG${i}`, { 'x-forwarded-for': `10.0.0.${i}` }),
    );
    expect(tally(responses)).toEqual({ '404 INVALID_CODE': 5, '429 RATE_LIMITED': 3 });
  });
});
