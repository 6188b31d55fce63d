import { setTimeout as sleep } from 'node:timers/promises';
import type { AppProcess } from './app-process';
import type { Cluster } from './cluster';
import type { Point } from './conversation';
import type { PlannedFault } from './plan';
import type { Lane, Link, Proxy } from './proxy';

const TICK_MS = 50;
/** By then a statement that was cancelled says so. */
const CANCEL_SHOWS_MS = 100;
/** Answers that clients must have got between one fault and the next. */
const ANSWERS_BETWEEN = 5;

export interface Instance {
  app: AppProcess;
  proxy: Proxy;
}

/** A fault that has struck. */
export interface Strike {
  fault: PlannedFault;
  app: string;
  /** Since the first fault could strike. */
  atMs: number;
}

/**
 * Does what was planned, one fault after the other. A fault is armed when its time has come and clients have been
 * answered since the one before: there is nothing to be learnt from breaking what is broken still. It strikes when the
 * first transaction reaches its point, and at random at once.
 */
export class Saboteur {
  readonly strikes: Strike[] = [];
  private readonly startedAt = Date.now();
  private readonly ticking: NodeJS.Timeout;
  private armed: PlannedFault[] = [];
  private isOver = false;
  private next: PlannedFault;
  private before = { at: Date.now(), answers: 0 };

  constructor(
    private readonly cluster: Cluster,
    private readonly instances: Instance[],
    private readonly plan: Iterator<PlannedFault, never>,
    private readonly answers: () => number,
  ) {
    this.next = plan.next().value;
    this.ticking = setInterval(() => this.tick(), TICK_MS);
  }

  private tick(): void {
    for (const fault of this.armed.filter(({ place }) => place === 'at random')) this.strikeAtRandom(fault);
    const { at, answers } = this.before;
    if (Date.now() < at + this.next.afterMs || this.answers() < answers + ANSWERS_BETWEEN) return;
    this.armed.push(this.next);
    this.before = { at: Date.now(), answers: this.answers() };
    this.next = this.plan.next().value;
  }

  /** A transaction of this app stands at these points; the oldest fault that waits for one of them strikes. */
  reached(points: Point[], { app }: Instance, link: Link, lane: Lane): void {
    const index = this.armed.findIndex(({ place }) => points.some((point) => point === place));
    const [fault] = index === -1 ? [] : this.armed.splice(index, 1);
    if (fault === undefined) return;
    const strike = () => void this.attempt(fault, app, () => this.strikeAt(fault, app, link, lane));
    // the app has its answer before it is struck
    if (fault.place === 'after a grant') setImmediate(strike);
    else strike();
  }

  stop(): void {
    clearInterval(this.ticking);
    this.isOver = true;
    this.armed = [];
  }

  /** A fault counts when it has struck. Whoever should be struck may be down or gone: then a little later. */
  private async attempt(
    fault: PlannedFault,
    { name }: AppProcess,
    strike: () => boolean | Promise<boolean>,
  ): Promise<void> {
    if (await strike()) this.strikes.push({ fault, app: name, atMs: Date.now() - this.startedAt });
    else if (!this.isOver) this.armed.push(fault);
  }

  /** What follows the write is on its way with it: it is held until the write is answered. */
  private async strikeAt(fault: PlannedFault, app: AppProcess, link: Link, lane: Lane): Promise<boolean> {
    if (fault.place !== 'grant inside') return this.strike(fault, app, link, lane);
    lane.hold();
    const struck = (await link.written()) && (await this.strike(fault, app, link, lane));
    lane.letGo();
    return struck;
  }

  /** @returns false when what should be struck was gone already */
  private strike(
    { kind, muteMs }: PlannedFault,
    app: AppProcess,
    link: Link,
    lane: Lane,
  ): boolean | Promise<boolean> {
    switch (kind) {
      case 'kill -9 app':
        return instead(lane, app.kill());
      case 'kill -9 backend':
        return instead(lane, killBackend(link));
      case 'pg_terminate_backend':
        return this.terminateInstead(lane, link);
      case 'kill -9 postmaster':
        return instead(lane, this.cluster.killPostmaster());
      case 'pg_cancel_backend':
        return this.cancel(lane, link);
      case 'cut link':
        link.cut();
        return true;
      case 'mute link':
        lane.mute(muteMs);
        return true;
      case 'black-hole link':
        link.blackHole();
        return true;
    }
  }

  private strikeAtRandom(fault: PlannedFault): void {
    const { app, proxy } = this.instances[fault.app] as Instance;
    this.armed.splice(this.armed.indexOf(fault), 1);
    void this.attempt(fault, app, () => this.strikeAnybody(fault, app, [...proxy.links]));
  }

  private strikeAnybody(
    { kind, link, muteMs }: PlannedFault,
    app: AppProcess,
    links: Link[],
  ): boolean | Promise<boolean> {
    const one = links[link % links.length];
    switch (kind) {
      case 'kill -9 app':
        return app.kill();
      case 'kill -9 backend':
        return killBackend(one);
      case 'pg_terminate_backend':
        return this.terminate(one);
      case 'kill -9 postmaster':
        return this.cluster.killPostmaster();
      case 'pg_cancel_backend':
        return this.cancelBusy(links, link);
      case 'cut link':
        for (const link of links) link.cut();
        return links.length > 0;
      case 'mute link':
        for (const link of links) for (const lane of [link.toServer, link.toClient]) lane.mute(muteMs);
        return links.length > 0;
      case 'black-hole link':
        for (const link of links) link.blackHole();
        return links.length > 0;
    }
  }

  /** PostgreSQL is asked to do it, which takes a moment: until then the message that stands at the point waits. */
  private async terminateInstead(lane: Lane, link: Link): Promise<boolean> {
    lane.hold();
    const struck = instead(lane, await this.terminate(link));
    lane.letGo();
    return struck;
  }

  /** What stands at the point is not lost: it goes out, and is cancelled while it runs. */
  private async cancel(lane: Lane, link: Link): Promise<boolean> {
    const { backendPid, cancelled } = link;
    if (backendPid === undefined) return false;
    const isStruck = () => link.cancelled > cancelled;
    lane.hold();
    await this.cluster.cancelWhile(
      backendPid,
      () => link.isBusy && !isStruck(),
      () => lane.letGo(),
    );
    lane.letGo();
    return isStruck();
  }

  private async cancelBusy(links: Link[], which: number): Promise<boolean> {
    const before = new Map(links.map((link) => [link.backendPid, link.cancelled]));
    const pids = [...before.keys()].filter((pid) => pid !== undefined);
    const pid = await this.cluster.cancelBusy(pids, which);
    await sleep(CANCEL_SHOWS_MS);
    return links.some(
      ({ backendPid, cancelled }) => backendPid === pid && cancelled > (before.get(pid) ?? 0),
    );
  }

  private async terminate(link: Link | undefined): Promise<boolean> {
    const backendPid = link?.backendPid;
    return backendPid !== undefined && this.cluster.terminateBackend(backendPid);
  }
}

/** The message that stands at the point goes down with whoever was struck. */
function instead(lane: Lane, struck: boolean): boolean {
  if (struck) lane.swallow();
  return struck;
}

function killBackend(link: Link | undefined): boolean {
  const backendPid = link?.backendPid;
  if (backendPid === undefined) return false;
  try {
    return process.kill(backendPid, 'SIGKILL');
  } catch {
    return false;
  }
}
