import { execFile, type ChildProcess } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { pidFileOf, stopWhenWeAreKilled } from '../support/watchdog';
import { AppProcess } from './app-process';
import { ChaosClient, Tally } from './clients';
import { Cluster, makeRunFolder } from './cluster';
import { countPromises, readEvidence } from './evidence';
import { Journal } from './journal';
import { planFaults } from './plan';
import { setUpPrograms, type Program } from './programs';
import { Proxy, type Watch } from './proxy';
import { hasShownEnough, type Outcome, type Settings } from './report';
import { Saboteur, type Instance } from './saboteur';
import { judge } from './verdict';

const PRODUCT = ['dist/src/main.js'];
const WITHOUT_PROMISES = ['test/chaos/without-promises.mjs'];
const SESSION_SECRET = 'only for the length of a run of chaos';
const START_TIMEOUT_MS = 180_000;
/** When all is well again, a client is answered and a promise is paid within this time, or something is wrong. */
const WELL_AGAIN_MS = 60_000;
/** As long as asked for, times this, at most. */
const OVERTIME = 5;
const PROGRESS_MS = 10_000;

/** A database, the apps on it, their links, and what is done to them. */
export class Run {
  readonly folder = makeRunFolder();
  private readonly instances: Instance[] = [];
  private readonly journal = new Journal(join(this.folder, 'acknowledged.jsonl'));
  private readonly tally = new Tally();
  private cluster: Cluster | undefined;
  private watchdog: ChildProcess | undefined;
  private saboteur: Saboteur | undefined;

  constructor(
    private readonly settings: Settings,
    private readonly say: (line: string) => void,
  ) {}

  async execute(): Promise<Outcome> {
    const startedAt = Date.now();
    const cluster = await this.start();
    const programs = await setUpPrograms(await this.serving(this.instances[0]));
    await Promise.all(this.instances.map((instance) => this.serving(instance)));
    this.say(`set up in ${Math.round((Date.now() - startedAt) / 1_000)} s, in ${this.folder}`);
    const struckForS = await this.strikeWhileClientsWork(cluster, programs);
    const drainS = await this.drain(cluster);
    await Promise.all(this.instances.map(({ app }) => app.stop()));
    return this.conclude(cluster, { struckForS, drainS });
  }

  /** Ends every process of the run. The folder stays. */
  async stop(): Promise<void> {
    this.saboteur?.stop();
    await Promise.all(this.instances.map(({ app }) => app.stop()));
    for (const { proxy } of this.instances) proxy.close();
    await this.cluster?.stop();
    // it would remove the folder
    this.watchdog?.kill();
  }

  remove(): void {
    this.cluster?.remove();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  private async start(): Promise<Cluster> {
    this.cluster = await Cluster.start(this.folder);
    this.watchdog = stopWhenWeAreKilled(this.folder);
    for (let i = 0; i < this.settings.apps; i += 1) await this.addInstance(`app-${i + 1}`);
    await this.addInstance('sweeper');
    return this.cluster;
  }

  private async addInstance(name: string): Promise<void> {
    const holder: { instance?: Instance } = {};
    const watch: Watch = (points, link, lane) => {
      if (holder.instance) this.saboteur?.reached(points, holder.instance, link, lane);
    };
    const proxy = await Proxy.to(this.cluster?.url ?? '', watch);
    const app = new AppProcess(name, {
      args: this.settings.withoutPromises ? WITHOUT_PROMISES : PRODUCT,
      env: {
        ...{
          DATABASE_URL: proxy.url,
          DATABASE_POOL_SIZE: '6',
          SESSION_SECRET,
          DATA_DIR: this.folder,
          PORT: '0',
        },
        ...{ GUESSES_PER_USER: '1000000', GUESSES_PER_ADDRESS: '1000000', SIGNUPS_PER_ADDRESS: '0' },
        ...{ REQUESTS_PER_ADDRESS: '0', REQUESTS_PER_USER: '0', REQUESTS_PER_KEY: '0' },
      },
      log: join(this.folder, `${name}.log`),
      onChange: () => this.writePids(),
    });
    holder.instance = { app, proxy };
    this.instances.push(holder.instance);
    this.writePids();
  }

  private writePids(): void {
    const pids = this.instances.map(({ app }) => app.pid).filter((pid) => pid !== undefined);
    writeFileSync(pidFileOf(this.folder), pids.join('\n'));
  }

  private async serving(instance: Instance | undefined): Promise<string> {
    for (const deadline = Date.now() + START_TIMEOUT_MS; ; await sleep(50)) {
      if (instance?.app.url !== undefined) return instance.app.url;
      if (Date.now() > deadline) throw new Error(`${instance?.app.name} does not serve: see its log`);
    }
  }

  private async strikeWhileClientsWork(cluster: Cluster, programs: Program[]): Promise<number> {
    const { seed, seconds, apps, clients } = this.settings;
    const [stopping, givingUp] = [new AbortController(), new AbortController()];
    const context = {
      ...{ seed, programs, journal: this.journal, tally: this.tally },
      // the last one only sweeps
      apps: this.instances.slice(0, apps).map(({ app }) => app),
      stopping: stopping.signal,
      givingUp: givingUp.signal,
    };
    const saboteur = new Saboteur(
      cluster,
      this.instances,
      planFaults(seed, this.instances.length),
      () => this.tally.answers,
    );
    this.saboteur = saboteur;
    const working = Array.from({ length: clients }, (_, i) => new ChaosClient(i + 1, context).work());
    const progress = setInterval(() => {
      this.say(
        `${saboteur.strikes.length} faults, ${this.tally.requests} requests, ${this.tally.retries} sent again`,
      );
    }, PROGRESS_MS);
    const struckForS = await this.untilStruck(saboteur, seconds);
    saboteur.stop();
    stopping.abort();
    const patience = setTimeout(() => givingUp.abort(), WELL_AGAIN_MS);
    await Promise.all(working);
    clearTimeout(patience);
    clearInterval(progress);
    return struckForS;
  }

  /** A run that has not shown yet what it must goes on, for as long as a slow machine needs, within bounds. */
  private async untilStruck(saboteur: Saboteur, seconds: number): Promise<number> {
    const startedAt = Date.now();
    const elapsedS = () => Math.round((Date.now() - startedAt) / 1_000);
    await sleep(seconds * 1_000);
    while (!hasShownEnough(this.settings, saboteur.strikes) && elapsedS() < seconds * OVERTIME)
      await sleep(100);
    return elapsedS();
  }

  /** Until no promise is left to pay, or for as long as that may take at most. @returns how long it took */
  private async drain(cluster: Cluster): Promise<number> {
    const startedAt = Date.now();
    await cluster.untilServing();
    while (Date.now() < startedAt + WELL_AGAIN_MS && (await countPromises(cluster)).pending > 0)
      await sleep(250);
    return Math.round((Date.now() - startedAt) / 100) / 10;
  }

  private async conclude(cluster: Cluster, times: { struckForS: number; drainS: number }): Promise<Outcome> {
    const told = this.journal.read();
    const evidence = await readEvidence(cluster);
    const acknowledged = (kind: 'claimed' | 'granted') =>
      new Set(told.filter((said) => said.kind === kind).map(({ op }) => op)).size;
    return {
      options: this.settings,
      ...times,
      strikes: this.saboteur?.strikes ?? [],
      starts: this.instances.reduce((sum, { app }) => sum + app.starts, 0),
      deaths: this.instances.flatMap(({ app }) => app.deaths.map((how) => `${app.name}: ${how}`)),
      requests: this.tally.requests,
      retries: this.tally.retries,
      claims: evidence.claims.length,
      acknowledged: { claims: acknowledged('claimed'), grants: acknowledged('granted') },
      promises: await countPromises(cluster),
      brokenInvariants: await brokenInvariants(cluster),
      wrongAnswers: this.tally.wrong,
      findings: judge(told, evidence),
    };
  }
}

/** What the product's own check says, through its command line. */
async function brokenInvariants(cluster: Cluster): Promise<string[]> {
  const env = { PATH: process.env.PATH, DATABASE_URL: cluster.url, SESSION_SECRET };
  const args = ['dist/src/cli.js', '--json', 'integrity'];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env, maxBuffer: 1e8 }).catch(
    (error: { stdout?: string; message: string }) => {
      // it ends with 1 when something is broken, and says what
      if (!error.stdout) throw error;
      return { stdout: error.stdout };
    },
  );
  const invariants = JSON.parse(stdout) as {
    name: string;
    ok: boolean;
    broken_rows?: number;
    rows?: object[];
  }[];
  return invariants
    .filter(({ ok }) => !ok)
    .map(({ name, broken_rows, rows }) => `${name}: ${broken_rows} rows, as ${JSON.stringify(rows?.[0])}`);
}
