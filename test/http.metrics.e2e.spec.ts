import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { untilWaiting } from './support/behind';
import { METRICS_TOKEN, movedBy, scrape } from './support/metrics';
import { Output } from './support/output';
import { RawClient, exchange } from './support/raw';
import { useWorld, type Player, type Tenant } from './support/world';

/** What `/metrics` and the log tell of requests, by whichever adapter they are routed. */

const CLAIM = '/v1/client/referrals/claim';
const COUNT = 'http_request_duration_seconds_count';

describe.each(['express', 'fastify'] as const)('on %s', (httpAdapter) => {
  const world = useWorld({ metricsToken: METRICS_TOKEN, httpAdapter });
  let tenant: Tenant;
  let ada: Player;

  beforeAll(async () => {
    tenant = await world.tenant();
    ada = await tenant.player();
    await tenant.code({ code: 'PROMO' });
  });

  /** The requests that were counted while the work was done, as in `{ 'GET /health/live 200': 1 }`; not the scrapes. */
  async function counted(work: () => Promise<unknown>): Promise<Record<string, number>> {
    const before = await scrape(world);
    await work();
    const after = await scrape(world);
    const counts: Record<string, number> = {};
    for (const { name, labels, value } of after.samples) {
      const { method, route, status } = labels;
      const moved = value - (before.value(name, labels) ?? 0);
      if (name === COUNT && route !== '/metrics' && moved > 0) counts[`${method} ${route} ${status}`] = moved;
    }
    return counts;
  }

  const send = (lines: string[]) =>
    exchange(world.url, [...lines, 'Host: x', 'Connection: close', '', ''].join('\r\n'));

  /** Sends a claim, and goes away while it waits for a lock. */
  async function leaving(user: Player): Promise<void> {
    const claim = [
      `POST ${CLAIM} HTTP/1.1`,
      'Host: x',
      'Content-Type: application/json',
      'Content-Length: 16',
    ];
    const headers = Object.entries(user.headers).map(([name, value]) => `${name}: ${value}`);
    const client = new RawClient(world.url);
    const gone = async () => (await scrape(world)).value(COUNT, { route: CLAIM, status: 'none' }) ?? 0;
    const before = await gone();
    const other = world.db.createQueryRunner();
    await other.startTransaction();
    await other.query(`SELECT FROM referral_codes WHERE project_id = $1 FOR UPDATE`, [tenant.id]);
    client.send([...claim, ...headers, '', '{"code":"PROMO"}'].join('\r\n'));
    await untilWaiting(world.db, 1);
    client.socket.destroy();
    while ((await gone()) === before);
    await other.rollbackTransaction();
    await other.release();
  }

  it('each is counted by its route, however that is spelt, and by what it was answered', async () => {
    const eve = await tenant.player();
    const requests = async () => {
      await world.claim(ada, 'PROMO').expect(201);
      await world.http.post('/client/Referrals/claim/').set(eve.headers).send({ code: 'PROMO' }).expect(201);
      await world.claim(ada, 'PROMO').expect(400);
      await world.claim(ada, 'NOBODYS').expect(404);
      await world.http.get('/v1/client/currencies').expect(401);
      for (const id of [tenant.id, randomUUID()])
        await world.http.get(`/v1/admin/projects/${id}/users/${ada.id}`).set(tenant.server);
      await world.http.get('/health/live?probe').expect(200);
      await send(['HEAD /health/live HTTP/1.1']);
      await world.http.get('/docs').expect(200);
    };
    expect(await counted(requests)).toEqual({
      [`POST ${CLAIM} 201`]: 2,
      [`POST ${CLAIM} 400`]: 1,
      [`POST ${CLAIM} 404`]: 1,
      'GET /v1/client/currencies 401': 1,
      'GET /v1/admin/projects/:projectId/users/:userId 200': 1,
      'GET /v1/admin/projects/:projectId/users/:userId 403': 1,
      ...{ 'GET /health/live 200': 1, 'HEAD /health/live 200': 1, 'GET /docs 200': 1 },
    });
  });

  it('also when it is refused before it is routed', async () => {
    const pipelined = Array(12).fill('GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n').join('');
    const requests = async () => {
      const large = JSON.stringify({ code: 'A'.repeat(17_000) });
      await world.http.post(CLAIM).set('content-type', 'application/json').send(large).expect(413);
      await world.http
        .options(CLAIM)
        .set({ origin: 'https://game.example', 'access-control-request-method': 'POST' })
        .expect(204);
      await world.http.get('/%E0%A4%A').expect(404);
      await send(['PROPFIND /v1/client/currencies HTTP/1.1']);
      await exchange(world.url, pipelined);
    };
    expect(await counted(requests)).toEqual({
      ...{ 'POST none 413': 1, 'OPTIONS none 204': 1, 'GET none 404': 1, 'other none 404': 1 },
      // the eleventh that waits is refused, with which the connection ends: the twelfth is never begun
      ...{ 'GET /health/live 200': 10, 'GET none 429': 1, 'GET none none': 1 },
    });
  });

  it('also when its client goes away before the answer', async () => {
    const eve = await tenant.player();
    expect(await counted(() => leaving(eve))).toEqual({ [`POST ${CLAIM} none`]: 1 });
  });

  it('what clients make up makes no series', async () => {
    const probe = async (name: string) => {
      for (const method of ['get', 'post', 'patch', 'put', 'delete'] as const)
        for (const path of [`/${name}`, `/v1/client/${name}`, `/v1/admin/projects/${name}`, `/docs/${name}`])
          await world.http[method](path).set({ 'x-api-key': name, authorization: `Bearer ${name}` });
      for (const method of ['PROPFIND', 'SEARCH', 'M-SEARCH']) await send([`${method} /${name} HTTP/1.1`]);
    };
    await probe(randomUUID());
    const { series } = await scrape(world);
    // node tells of a kind of garbage collection when it first makes one
    const ofNode = /^nodejs_gc_/;
    const ours = (all: string[]) => all.filter((name) => !ofNode.test(name));
    const moved = await movedBy(world, { name: COUNT, by: 'route' }, async () => {
      for (let i = 0; i < 10; i += 1) await probe(randomUUID());
    });
    expect(ours((await scrape(world)).series)).toEqual(ours(series));
    expect(moved).toEqual({
      none: 10 * 20,
      // GET, PATCH and DELETE of a project, and the scrape before
      ...{ '/v1/admin/projects/:projectId': 10 * 3, '/metrics': 1 },
    });
  });

  it('a duration is in seconds', async () => {
    const labels = { method: 'GET', route: '/metrics', status: '200' };
    const begin = performance.now();
    const before = await scrape(world);
    await scrape(world);
    const after = await scrape(world);
    const moved = (suffix: string) => {
      const name = `http_request_duration_seconds_${suffix}`;
      return after.value(name, labels)! - before.value(name, labels)!;
    };
    expect(moved('count')).toBe(2);
    expect(moved('sum')).toBeGreaterThan(0);
    expect(moved('sum')).toBeLessThan((performance.now() - begin) / 1000);
  });

  describe('the log', () => {
    /** The lines of the work, so many at least; each is written after its answer has left. */
    async function logged(count: number, work: () => Promise<unknown>): Promise<Record<string, unknown>[]> {
      const output = Output.listen();
      try {
        await work();
        while (output.requests.length < count) await nextTurn();
      } finally {
        output.stop();
      }
      return output.requests;
    }

    const line = (method: string, route: string, status: number | null, more: object = {}) => ({
      ...{ level: 30, time: expect.any(Number), pid: process.pid, hostname: expect.any(String) },
      ...{ msg: `${method} ${route} ${status}`, method, route, status, duration_ms: expect.any(Number) },
      ...{ address: '127.0.0.1', request_id: expect.stringMatching(/^[\da-f-]{36}$/), ...more },
    });

    it('tells of each who asked for what, and what came of it', async () => {
      const eve = await tenant.player();
      const dev = await world.developer();
      const key = async (type: string) =>
        (
          await world.db.query(`SELECT id FROM api_keys WHERE project_id = $1 AND key_type = $2`, [
            ...[tenant.id, type],
          ])
        )[0].id;
      const path = `/v1/admin/projects/${tenant.id}/users`;
      const lines = await logged(7, async () => {
        await world.claim(eve, 'PROMO', { 'x-request-id': 'of-eve' }).expect(201);
        await world.claim(eve, eve.headers.authorization.slice(-40)).expect(404);
        await world.http.get(`/client/currencies?limit=${eve.id}`).set(eve.headers).expect(200);
        await world.http.get(path).set(tenant.server).expect(200);
        await world.http.get(path).set(dev.headers).expect(403);
        await world.http.get('/v1/client/currencies').expect(401);
        await world.http.get('/health/live').expect(200);
      });
      const client = { project_id: tenant.id, key_id: await key('client'), user_id: eve.id };
      const users = '/v1/admin/projects/:projectId/users';
      expect(lines).toEqual([
        line('POST', CLAIM, 201, { ...client, request_id: 'of-eve' }),
        line('POST', CLAIM, 404, { ...client, code: 'INVALID_CODE' }),
        line('GET', '/v1/client/currencies', 200, client),
        line('GET', users, 200, { project_id: tenant.id, key_id: await key('server') }),
        line('GET', users, 403, { developer_id: dev.id, code: 'PROJECT_FORBIDDEN' }),
        line('GET', '/v1/client/currencies', 401, { code: 'MISSING_API_KEY' }),
        line('GET', '/health/live', 200, { level: 20 }),
      ]);
    });

    it('also of what is refused before it is routed, or could not be read', async () => {
      const key = tenant.clientKey;
      const lines = await logged(16, async () => {
        const large = JSON.stringify({ code: 'A'.repeat(17_000) });
        await world.http.post(CLAIM).set('content-type', 'application/json').send(large).expect(413);
        await world.http.get('/nothing').set('x-request-id', key).expect(404);
        await send(['PROPFIND /v1/client/currencies HTTP/1.1']);
        await exchange(world.url, Array(12).fill('GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n').join(''));
        await exchange(world.url, `GET /${key} HTTP/1.1\r\nAuthorization : x\r\n\r\n`);
      });
      const { level, time, pid, hostname, address, request_id } = line('', '', 400);
      expect(lines).toEqual([
        line('POST', 'none', 413, { code: 'PAYLOAD_TOO_LARGE' }),
        line('GET', 'none', 404, { code: 'NOT_FOUND' }),
        line('other', 'none', 404, { code: 'NOT_FOUND' }),
        ...Array(10).fill(line('GET', '/health/live', 200, { level: 20 })),
        line('GET', 'none', 429, { level: 20, code: 'RATE_LIMITED' }),
        // which waited behind it, and heard nothing
        line('GET', 'none', null, { level: 20, msg: 'GET none cut off' }),
        {
          ...{ level, time, pid, hostname, address, request_id },
          ...{ status: 400, code: 'INVALID_INPUT', msg: 'unreadable 400' },
        },
      ]);
      expect(JSON.stringify(lines)).not.toContain(key);
    });

    it('also of one whose client went away', async () => {
      const eve = await tenant.player();
      const lines = await logged(1, () => leaving(eve));
      const [left] = lines.filter(({ route }) => route === CLAIM);
      expect(left).toMatchObject({ level: 30, status: null, user_id: eve.id, msg: `POST ${CLAIM} cut off` });
    });
  });
});
