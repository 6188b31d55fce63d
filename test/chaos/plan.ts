import { POINTS, type Point } from './conversation';
import { Random } from './random';

/** What can be done to whoever is at a point, or at a random moment to anybody. */
export const KINDS = [
  'kill -9 app',
  'kill -9 backend',
  'pg_terminate_backend',
  'kill -9 postmaster',
  'pg_cancel_backend',
  'cut link',
  'mute link',
  'black-hole link',
] as const;
export type Kind = (typeof KINDS)[number];

export type Place = Point | 'at random';

export interface Fault {
  kind: Kind;
  place: Place;
}

export interface PlannedFault extends Fault {
  /** How long after the fault before it, at least. */
  afterMs: number;
  /** Which app is struck `at random`, as an index into all. */
  app: number;
  /** Which of its connections: one of those there are, or of those that are busy, counted round. */
  link: number;
  /** How long a mute link is mute: below and above what the app waits for an answer. */
  muteMs: number;
}

const ROUND_COMMIT: Place[] = [
  'claim before COMMIT',
  'claim after COMMIT',
  'grant before COMMIT',
  'grant after COMMIT',
  'at random',
];
const PLACES: Record<Kind, Place[]> = {
  'kill -9 app': [...POINTS, 'at random'],
  'kill -9 backend': ['claim before COMMIT', 'claim after COMMIT', 'grant inside', 'at random'],
  pg_terminate_backend: ['claim before COMMIT', 'claim after COMMIT', 'grant inside', 'at random'],
  'kill -9 postmaster': ['claim after COMMIT', 'grant inside', 'at random'],
  // what stands at the point goes out, and is cancelled while it runs: nothing runs after COMMIT
  pg_cancel_backend: [...POINTS.filter((point) => !/inside|after/.test(point)), 'at random'],
  'cut link': ROUND_COMMIT,
  'mute link': ROUND_COMMIT,
  'black-hole link': ROUND_COMMIT,
};

/** Every fault there is: each kind at every place that fits it. */
export const ALL_FAULTS: Fault[] = KINDS.flatMap((kind) => PLACES[kind].map((place) => ({ kind, place })));

const GAP_MS = { min: 300, max: 1_500 };
const MUTE_MS = { min: 300, max: 6_500 };
const MAX_LINK = 999;

/** The faults of a run, without an end: shuffled like a deck of cards, all of them before any comes again. */
export function* planFaults(seed: number, apps: number): Generator<PlannedFault, never> {
  const random = new Random(seed, 'faults');
  const links = new Random(seed, 'links');
  for (;;) {
    for (const fault of random.shuffled(ALL_FAULTS)) {
      yield {
        ...fault,
        afterMs: random.int(GAP_MS.min, GAP_MS.max),
        app: random.int(0, apps - 1),
        link: links.int(0, MAX_LINK),
        muteMs: random.int(MUTE_MS.min, MUTE_MS.max),
      };
    }
  }
}
