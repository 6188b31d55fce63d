import type { World } from './world';

/** For a world that is to show its metrics: `useWorld({ metricsToken: METRICS_TOKEN })`. */
export const METRICS_TOKEN = 'what-the-monitoring-system-shows';

type Labels = Record<string, string>;

interface Sample {
  name: string;
  labels: Labels;
  value: number;
}

/** What one scrape told. */
export class Metrics {
  readonly samples: Sample[];

  constructor(readonly text: string) {
    this.samples = [...text.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)].map(
      ([, name = '', labels = '', value]) => ({
        name,
        labels: Object.fromEntries(
          [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', text = '']) => [key, text]),
        ),
        value: Number(value),
      }),
    );
  }

  /** The sum of the samples with this name that have these labels, or undefined when there is none. */
  value(name: string, labels: Labels = {}): number | undefined {
    const found = this.samples.filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([key, text]) => sample.labels[key] === text),
    );
    return found.length > 0 ? found.reduce((sum, { value }) => sum + value, 0) : undefined;
  }

  /** Every time series there is, by its name and labels. */
  get series(): string[] {
    return this.samples.map(({ name, labels }) => `${name}${JSON.stringify(labels)}`).sort();
  }
}

export async function scrape({ http }: World): Promise<Metrics> {
  const { text } = await http
    .get('/metrics')
    .set({ authorization: `Bearer ${METRICS_TOKEN}` })
    .expect(200);
  return new Metrics(text);
}

/** What moved while the work was done: by the values of this label, for those series of the name that have the labels. */
export async function movedBy(
  world: World,
  { name, by, ...labels }: { name: string; by: string } & Labels,
  work: () => Promise<unknown>,
): Promise<Record<string, number>> {
  const before = await scrape(world);
  await work();
  const after = await scrape(world);
  const moved: Record<string, number> = {};
  for (const text of new Set(
    after.samples.flatMap((sample) => (sample.name === name ? (sample.labels[by] ?? []) : [])),
  )) {
    const chosen = { ...labels, [by]: text };
    const difference = (after.value(name, chosen) ?? 0) - (before.value(name, chosen) ?? 0);
    if (difference !== 0) moved[text] = difference;
  }
  return moved;
}
