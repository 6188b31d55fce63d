import { randomUUID } from 'node:crypto';
import { untilWaiting } from './support/behind';
import { METRICS_TOKEN, movedBy, scrape } from './support/metrics';
import { RawClient, exchange } from './support/raw';
import { useWorld, type Player, type Tenant } from './support/world';

/** What `/metrics` tells of requests, by whichever adapter they are routed. */

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
      ...{ 'GET /health/live 200': 10, 'GET none 429': 1 },
    });
  });

  it('also when its client goes away before the answer', async () => {
    const eve = await tenant.player();
    const claim = [
      `POST ${CLAIM} HTTP/1.1`,
      'Host: x',
      'Content-Type: application/json',
      'Content-Length: 16',
    ];
    const headers = Object.entries(eve.headers).map(([name, value]) => `${name}: ${value}`);
    const leaving = async () => {
      const client = new RawClient(world.url);
      const other = world.db.createQueryRunner();
      await other.startTransaction();
      await other.query(`SELECT FROM referral_codes WHERE project_id = $1 FOR UPDATE`, [tenant.id]);
      client.send([...claim, ...headers, '', '{"code":"PROMO"}'].join('\r\n'));
      await untilWaiting(world.db, 1);
      client.socket.destroy();
      while ((await scrape(world)).value(COUNT, { route: CLAIM, status: 'none' }) === undefined);
      await other.rollbackTransaction();
      await other.release();
    };
    expect(await counted(leaving)).toEqual({ [`POST ${CLAIM} none`]: 1 });
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
    const moved = await movedBy(world, { name: COUNT, by: 'route' }, async () => {
      for (let i = 0; i < 10; i += 1) await probe(randomUUID());
    });
    expect((await scrape(world)).series).toEqual(series);
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
});
