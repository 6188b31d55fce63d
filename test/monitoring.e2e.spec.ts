import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { IntegrityRunsService } from '../src/integrity/integrity-runs.service';
import { METRICS_TOKEN, scrape, type Metrics } from './support/metrics';
import { readPromql } from './support/promql';
import { useWorld } from './support/world';

/** The files of `monitoring/` against what a server really tells, and against the page that explains them. */

const HOUR_MS = 3_600_000;
const read = (file: string) => readFileSync(join(__dirname, '..', file), 'utf8');
const page = read('docs/operations.md');

interface Rule {
  alert: string;
  expr: string;
  for?: string;
  labels: { severity: string };
  annotations: { summary: string; description: string; runbook_url: string };
}

interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  datasource?: object;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { refId: string; datasource: object; expr: string; legendFormat: string }[];
}

const { groups } = parse(read('monitoring/alerts.yml')) as { groups: { name: string; rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(read('monitoring/grafana-dashboard.json')) as {
  panels: Panel[];
  templating: { list: { name: string; type: string; query: unknown; definition?: string }[] };
  annotations: { list: { expr: string }[] };
};
const { panels } = dashboard;

const EXPRESSIONS: [string, string][] = [
  ...rules.map(({ alert, expr }): [string, string] => [alert, expr]),
  ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }): [string, string] => [title, expr])),
  ...dashboard.annotations.list.map(({ expr }): [string, string] => ['the annotations', expr]),
];

const world = useWorld({ metricsToken: METRICS_TOKEN, sweepIntervalMs: HOUR_MS });
let metrics: Metrics;

beforeAll(async () => {
  const tenant = await world.tenant();
  await tenant.code({ code: 'PROMO' });
  await world.claim(await tenant.player(), 'PROMO').expect(201);
  await world.http.get('/health/ready').expect(200);
  await world.app.get(IntegrityRunsService).runDue(new Date(), HOUR_MS);
  metrics = await scrape(world);
});

/** What Prometheus adds to every series, and makes itself. */
const OF_PROMETHEUS = ['job', 'instance'];
const MADE_BY_PROMETHEUS: Record<string, string[]> = {
  up: [],
  ALERTS: ['alertname', 'alertstate', 'severity'],
};

/** The labels of a metric, with the values that there are; undefined for a metric that there is not. */
function labelsOf(name: string): Map<string, Set<string>> | undefined {
  const samples = metrics.samples.filter((sample) => sample.name === name);
  if (samples.length === 0 && !(name in MADE_BY_PROMETHEUS)) return undefined;
  const labels = new Map<string, Set<string>>();
  for (const label of [...OF_PROMETHEUS, ...(MADE_BY_PROMETHEUS[name] ?? [])]) labels.set(label, new Set());
  for (const [label, value] of samples.flatMap((sample) => Object.entries(sample.labels)))
    labels.set(label, (labels.get(label) ?? new Set()).add(value));
  return labels;
}

describe('every expression', () => {
  it.each(EXPRESSIONS)('of %s asks for what a server tells', (_, expression) => {
    const { faults, selectors, grouping } = readPromql(expression);
    expect(faults).toEqual([]);
    expect(selectors.length).toBeGreaterThan(0);
    for (const { name, matchers } of selectors) {
      const labels = labelsOf(name);
      expect({ name, isThere: labels !== undefined }).toEqual({ name, isThere: true });
      for (const [label, value] of Object.entries(matchers)) {
        const values = labels?.get(label);
        expect({ name, label, isThere: values !== undefined }).toEqual({ name, label, isThere: true });
        // a status is there when a request ended with it, and what Prometheus adds is not ours
        const isOurs = label !== 'status' && !OF_PROMETHEUS.includes(label) && !(name in MADE_BY_PROMETHEUS);
        if (isOurs && value !== undefined) expect([...(values ?? [])]).toContain(value);
      }
    }
    const known = selectors.flatMap(({ name }) => [...(labelsOf(name)?.keys() ?? [])]);
    expect(known).toEqual(expect.arrayContaining(grouping));
  });

  it('is read as a whole', () => {
    expect(
      readPromql('sum by (job) (rate(up{job="amba",x=~"y"}[$__rate_interval])) > 1 and on (z) v'),
    ).toEqual({
      faults: [],
      selectors: [
        { name: 'up', matchers: { job: 'amba', x: undefined } },
        { name: 'v', matchers: {} },
      ],
      grouping: ['job', 'z'],
    });
    expect(readPromql('sum(rate(up[5m])').faults).toEqual(['sum(rate(up[5m])⚠']);
  });
});

describe('monitoring/alerts.yml', () => {
  it('names each alert once, and says how bad it is, what it means and where that is explained', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
    for (const { alert, labels, annotations, ...rule } of rules) {
      expect(alert).toMatch(/^Amba([A-Z][a-z]+)+$/);
      expect(rule.for ?? '0m').toMatch(/^\d+m$/);
      expect(['critical', 'warning']).toContain(labels.severity);
      expect(annotations).toEqual({
        summary: expect.stringMatching(/.+/),
        description: expect.stringMatching(/\.$/),
        runbook_url: `docs/operations.md#${alert.toLowerCase()}`,
      });
    }
  });

  it('has a heading in docs/operations.md for each alert, and no other', () => {
    const headings = [...page.matchAll(/^#+ (Amba\w+)$/gm)].map(([, name]) => name);
    expect(headings).toEqual(rules.map(({ alert }) => alert));
  });
});

describe('monitoring/grafana-dashboard.json', () => {
  it('asks the data source, and for the job, that are chosen', () => {
    const [datasource, job] = dashboard.templating.list;
    expect(datasource).toMatchObject({ name: 'datasource', type: 'datasource', query: 'prometheus' });
    expect(job).toMatchObject({ name: 'job', type: 'query' });
    const [, source = ''] = /^label_values\((\w+), job\)$/.exec(job?.definition ?? '') ?? [];
    expect(labelsOf(source)).toBeDefined();
    const chosen = { type: 'prometheus', uid: '${datasource}' };
    for (const panel of panels.filter(({ type }) => type !== 'row')) {
      expect(panel).toMatchObject({
        title: expect.any(String),
        description: expect.any(String),
        datasource: chosen,
      });
      for (const { datasource, expr } of panel.targets ?? []) {
        expect(datasource).toEqual(chosen);
        for (const { matchers } of readPromql(expr).selectors) expect(matchers.job).toBe('$job');
      }
    }
  });

  it('has its panels side by side', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Set<string>();
    for (const { gridPos, targets } of panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(taken).not.toContain(`${x} ${y}`);
          taken.add(`${x} ${y}`);
        }
      const refIds = targets?.map(({ refId }) => refId) ?? [];
      expect(new Set(refIds).size).toBe(refIds.length);
    }
  });
});

it('docs/operations.md lists what the server tells of itself', () => {
  const told = [...metrics.text.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name ?? '');
  const listed = [...page.matchAll(/^\| `(amba_\w+|http_\w+)`/gm)].map(([, name]) => name);
  expect(listed.sort()).toEqual(told.filter((name) => /^(amba|http)_/.test(name)).sort());
});
