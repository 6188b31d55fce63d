import { exchange } from './support/raw';
import { tellingRequests } from './support/telling-requests';
import { startWorld, useWorld, type Player, type Tenant, type World } from './support/world';

/** Nobody can tell by an answer which HTTP adapter is at work. */
const SETTINGS = { trustProxy: 1, corsOrigins: ['https://game.example', 'https://b.example'] };
const express = useWorld({ ...SETTINGS, httpAdapter: 'express' });
let fastify: World;
let close: () => Promise<void>;
let tenant: Tenant;
let player: Player;

beforeAll(async () => {
  const { url } = express.db.options as { url: string };
  ({ world: fastify, close } = await startWorld(url, { ...SETTINGS, httpAdapter: 'fastify' }));
  tenant = await express.tenant();
  await tenant.currency({ code: 'gems' });
  await tenant.code({ code: 'PROMO', rewardReferee: { gems: 5 } });
  player = await tenant.player();
  await express.myCode(player).expect(201);
  await express.claim(player, 'PROMO').expect(201);
});

afterAll(() => close());

interface Answer {
  status: string;
  headers: string[];
  body: string;
}

/** What a client makes of the bytes, without what differs from one answer to the next: ids that we made, times, what is left of a limit. */
function answersIn(received: string): Answer[] {
  return received
    .replaceAll(/(X-Request-Id: |"request_id":")[0-9a-f-]{36}/gi, '$1<id>')
    .replaceAll(/^Date: .*$/gim, 'Date: <date>')
    .replaceAll(/;r=\d+;t=\d+/g, ';r=<left>;t=<seconds>')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .split(/(?=HTTP\/1\.1 \d)/)
    .map((answer) => {
      const [head = '', ...rest] = answer.split('\r\n\r\n');
      const [status = '', ...lines] = head.split('\r\n');
      // names are case-insensitive, and their order means nothing
      const headers = lines.map((line) => line.replace(/^[^:]+/, (name) => name.toLowerCase())).sort();
      const body = rest.join('\r\n\r\n');
      return { status, headers, body: headers.includes('transfer-encoding: chunked') ? unchunk(body) : body };
    });
}

function unchunk(body: string): string {
  const size = parseInt(body, 16);
  const start = body.indexOf('\r\n') + 2;
  return size > 0 ? body.slice(start, start + size) + unchunk(body.slice(start + size + 2)) : '';
}

it('the two are at work', () => {
  expect([express, fastify].map(({ app }) => app.getHttpAdapter().getType())).toEqual(['express', 'fastify']);
});

it('what tells something is answered by both with the same status, headers and body', async () => {
  const requests = tellingRequests(tenant, player);
  const statuses = new Set<string>();
  for (const [name, bytes] of requests) {
    const answers = answersIn(await exchange(express.url, bytes));
    expect({ name, answers: answersIn(await exchange(fastify.url, bytes)) }).toEqual({ name, answers });
    for (const { status } of answers) statuses.add(status.slice(9, 12));
  }
  expect(new Set(requests.map(([name]) => name)).size).toBe(requests.length);
  const met = ['200', '204', '206', '304', '400', '401', '404', '413', '415', '431'];
  expect([...statuses].sort()).toEqual(met);
});

it('both take the address of a user from the same proxy', async () => {
  const path = `/v1/admin/projects/${tenant.id}`;
  for (const { http } of [express, fastify]) {
    const forwarded = { ...tenant.server, 'x-forwarded-for': '203.0.113.1, 198.51.100.7' };
    await http.patch(path).set(forwarded).send({ name: 'Renamed' }).expect(200);
  }
  const lines = await express.db.query(
    `SELECT address FROM audit_log WHERE project_id = $1 ORDER BY created_at DESC LIMIT 2`,
    [tenant.id],
  );
  expect(lines).toEqual([{ address: '198.51.100.7' }, { address: '198.51.100.7' }]);
});
