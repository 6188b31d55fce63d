import { randomBytes } from 'node:crypto';
import { PaymentsService } from '../src/rewards/payments.service';
import { startTracing } from '../src/tracing';
import { Collector } from './support/collector';
import { Output, Secrets } from './support/output';
import { useWorld, type Player, type Tenant } from './support/world';

/** What a collector of OpenTelemetry gets to see, and that nobody waits for one. */
const collector = new Collector();
const world = useWorld(async () => {
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = await collector.listen();
  process.env.OTEL_RESOURCE_ATTRIBUTES = 'deployment.environment.name=tests';
  process.env.OTEL_BSP_SCHEDULE_DELAY = '50';
  process.env.OTEL_EXPORTER_OTLP_TIMEOUT = '500';
  return { tracing: true };
});
const CLAIM = 'POST /v1/client/referrals/claim';
const secrets = new Secrets();
let stopTracing: () => Promise<void>;
let tenant: Tenant;

beforeAll(async () => {
  stopTracing = await startTracing(world.config);
  tenant = await world.tenant();
  await tenant.currency({ code: 'gems' });
  await tenant.code({ code: 'PAYS', rewardReferee: { gems: 1 } });
  secrets.add(tenant.clientKey, tenant.serverKey, world.config.sessionSecrets[0]);
});

afterAll(() => collector.close());

/** As a caller that traces, too. */
function caller() {
  const [trace, span] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  return { trace, span, headers: { traceparent: `00-${trace}-${span}-01` } };
}

async function claimer(): Promise<Player> {
  const player = await tenant.player();
  // notes the use of the key, which happens once a minute
  await world.myCode(player);
  secrets.add(player.headers.authorization);
  return player;
}

/** The span of a request, when the collector has it. */
async function spanOf(trace: string, name: string) {
  for (;;) {
    const span = collector.spans.find((one) => one.traceId === trace && one.name === name);
    if (span !== undefined) return span;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

it('a claim goes on with the trace of its caller: the claim, the payment and each packet to the database', async () => {
  const player = await claimer();
  const { trace, span, headers } = caller();
  const output = Output.listen();
  await world.claim(player, 'PAYS', headers).expect(201);
  const request = await spanOf(trace, CLAIM);
  output.stop();
  expect(collector.tree(trace, span)).toEqual({
    [CLAIM]: {
      SELECT: {},
      'referrals.claim': {
        'START; SELECT; SELECT': {},
        'WITH; COMMIT': {},
        'rewards.pay': { 'START; SET; SELECT; SELECT; SELECT': {}, 'WITH; COMMIT': {} },
      },
    },
  });
  expect(collector.spans.filter(({ traceId }) => traceId === trace)).toHaveLength(8);
  expect(request).toMatchObject({
    ...{ kind: 2, status: { code: 0 } },
    attributes: {
      'http.request.method': 'POST',
      'http.route': '/v1/client/referrals/claim',
      'http.response.status_code': 201,
    },
  });
  const packet = collector.spans.find((one) => one.traceId === trace && one.name === 'WITH; COMMIT');
  expect(packet).toMatchObject({
    kind: 3,
    attributes: { 'db.system.name': 'postgresql', 'db.operation.batch.size': 2 },
  });
  expect(packet?.attributes['db.query.text']).toMatch(/INSERT INTO referral_claims[^]*\$1[^]*;\nCOMMIT$/);
  expect(collector.resource).toMatchObject({
    ...{ 'service.name': 'amba-referrals', 'deployment.environment.name': 'tests' },
  });
  expect(output.requests.map(({ trace_id }) => trace_id)).toEqual([trace]);
});

it('a refusal is no error of a span, a failure is, and neither says more than its kind', async () => {
  const player = await claimer();
  const [refused, failed] = [caller(), caller()];
  await world.claim(player, 'NOBODYS', refused.headers).expect(404);
  await world.db.query('ALTER TABLE referral_claims RENAME TO hidden');
  await world.claim(player, 'PAYS', failed.headers).expect(500);
  await world.db.query('ALTER TABLE hidden RENAME TO referral_claims');
  const spans = [await spanOf(refused.trace, CLAIM), await spanOf(failed.trace, CLAIM)];
  expect(spans.map(({ status }) => status.code)).toEqual([0, 2]);
  const errors = collector.spans
    .filter(({ traceId }) => [refused.trace, failed.trace].includes(traceId))
    .filter(({ name }) => name === 'referrals.claim')
    .map(({ status, attributes }) => [status.code, attributes['error.type']]);
  expect(errors).toEqual([
    [0, 'INVALID_CODE'],
    // undefined_table
    [2, '42P01'],
  ]);
});

it('a sweep that pays is a trace of its own, one that finds nothing is none', async () => {
  const swept = () => collector.spans.filter(({ name }) => name === 'rewards.sweep');
  const player = await claimer();
  await tenant.deleteCurrency('gems');
  await world.claim(player, 'PAYS').expect(201);
  await tenant.currency({ code: 'gems' });
  const payments = world.app.get(PaymentsService);
  await payments.payDue(new Date());
  expect(swept()).toHaveLength(0);
  await payments.payDue(new Date(Date.now() + 3_600_000));
  while (swept().length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  const [{ traceId, spanId, parentSpanId } = { traceId: '', spanId: '' }] = swept();
  expect(parentSpanId ?? '').toBe('');
  expect(collector.tree(traceId, spanId)).toEqual({ 'SELECT; SELECT': {}, WITH: {} });
});

it('probes are none, and nothing secret was sent', async () => {
  const probe = caller();
  await world.http.get('/health/ready').set(probe.headers).expect(200);
  const after = caller();
  await world.http
    .get(`/v1/client/${tenant.serverKey}?key=${tenant.clientKey}`)
    .set(after.headers)
    .expect(404);
  await spanOf(after.trace, 'GET');
  expect(collector.spans.filter(({ traceId }) => traceId === probe.trace)).toEqual([]);
  expect(collector.received).toContain(after.trace);
  expect(secrets.size).toBeGreaterThan(5);
  expect(secrets.in(collector.received)).toEqual([]);
});

it('nobody waits for a collector that is gone: requests are answered, and a stop ends', async () => {
  collector.close();
  for (let round = 0; round < 3; round += 1) await world.claim(await claimer(), 'PAYS').expect(201);
  await stopTracing();
  await world.claim(await claimer(), 'PAYS').expect(201);
});
