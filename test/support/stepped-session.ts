import { EventEmitter } from 'node:events';
import type { Client, Pool } from 'pg';
import { Footprints, NOTHING, union, type Effect, type Footprint } from './footprint';
import { direct, startWorld, type World } from './world';

/** The stepper decides how long a statement waits, so the product's time limits must not. */
const NO_LIMITS = `SET lock_timeout = 0; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0`;
const BEGINS = /^\s*(?:BEGIN|START\s+TRANSACTION)\b[^;]*;?\s*$/i;
const ENDS = /(?:^|;)\s*(?:COMMIT|END|ROLLBACK|ABORT)\b/i;
interface Waiting {
  client: Client;
  text: string;
  go: () => void;
}

type Query = (...args: unknown[]) => unknown;

export interface Sessions {
  both: [SteppedSession, SteppedSession];
  close: () => Promise<void>;
}

/** Two more applications on the database of a world; without a pooler, since whose backend waits is asked by its id. */
export async function openSessions({ db }: World): Promise<Sessions> {
  const { url } = db.options as { url: string };
  const footprints = await Footprints.of(db);
  const open = () => startWorld(direct(url), {}, { isPooled: false });
  const [left, right] = [await open(), await open()];
  return {
    both: [
      new SteppedSession('left', left.world, footprints),
      new SteppedSession('right', right.world, footprints),
    ],
    close: async () => {
      await left.close();
      await right.close();
    },
  };
}

/**
 * An application of its own whose every statement waits until it is let go. What belongs to the operation is what comes
 * from this application's pool.
 */
export class SteppedSession {
  private readonly gated = new WeakSet<Client>();
  /** What the open transaction of a connection did so far. One that has only begun is not known to the server yet. */
  private done = new WeakMap<Client, Footprint>();
  private readonly waiting: Waiting[] = [];
  private readonly changes = new EventEmitter();
  private readonly pids = new Set<number>();
  private running: Waiting | undefined;
  private isOperating = false;
  private isOpen = true;

  constructor(
    readonly name: string,
    readonly world: World,
    private readonly footprints: Footprints,
  ) {
    this.pool.on('acquire', (client: Client) => this.gate(client));
  }

  /** Begins an operation: from here on every statement waits. */
  start<T>(operation: () => PromiseLike<T>): Promise<T> {
    this.isOpen = false;
    this.done = new WeakMap();
    this.isOperating = true;
    return Promise.resolve(operation()).finally(() => {
      this.isOperating = false;
      this.changes.emit('change');
    });
  }

  /** Lets everything pass, for what comes before and after. */
  open(): void {
    this.isOpen = true;
    for (const step of this.waiting.splice(0)) step.go();
  }

  /** The statement that waits to be let go, when none is under way. */
  get next(): (Effect & { text: string }) | undefined {
    const [step] = this.waiting;
    if (step === undefined || this.running !== undefined) return undefined;
    return { text: step.text, ...this.effectOf(step) };
  }

  /** The operation has answered, and all its connections are back. */
  get isDone(): boolean {
    const { totalCount, idleCount, waitingCount } = this.pool;
    return !this.isOperating && totalCount === idleCount && waitingCount === 0;
  }

  /** The backend of the statement that is under way. */
  get runningPid(): number | undefined {
    return this.running && pidOf(this.running.client);
  }

  get backendPids(): number[] {
    return [...this.pids];
  }

  /** Lets the next statement go. */
  release(): void {
    const step = this.waiting.shift();
    if (step === undefined) throw new Error(`Nothing of ${this.name} waits`);
    const { ends, ...own } = this.effectOf(step);
    if (ends) this.done.delete(step.client);
    else this.done.set(step.client, union(this.doneBy(step.client), own));
    this.running = step;
    step.go();
  }

  /** Resolves at the next change, or after so many milliseconds. */
  change(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.changes.off('change', wake);
        resolve();
      };
      const timer = setTimeout(wake, waitMs);
      this.changes.once('change', wake);
    });
  }

  private get pool(): Pool {
    return (this.world.db.driver as unknown as { master: Pool }).master;
  }

  private gate(client: Client): void {
    this.pids.add(pidOf(client));
    if (this.gated.has(client)) return;
    this.gated.add(client);
    const send = client.query.bind(client) as Query;
    void send(NO_LIMITS);
    const gated: Query = (...args) => {
      if (this.isOpen) return send(...args);
      const [statement] = args;
      const text = typeof statement === 'string' ? statement : (statement as { text?: string }).text;
      if (text === undefined || typeof args.at(-1) === 'function') {
        throw new Error('Only statements that give a promise can be stepped');
      }
      if (BEGINS.test(text)) {
        // it leaves with what comes next
        this.done.set(client, NOTHING);
        return send(...args);
      }
      return this.step(client, text, () => send(...args));
    };
    client.query = gated as typeof client.query;
  }

  private async step(client: Client, text: string, send: () => unknown): Promise<unknown> {
    const step = { client, text, go: () => undefined as void };
    const released = new Promise<void>((resolve) => (step.go = resolve));
    this.waiting.push(step);
    this.changes.emit('change');
    await released;
    try {
      return await send();
    } finally {
      if (this.running === step) this.running = undefined;
      this.changes.emit('change');
    }
  }

  private effectOf({ client, text }: Waiting): Effect {
    const own = this.footprints.of(text);
    return this.done.has(client) && !ENDS.test(text)
      ? own
      : { ...own, ends: union(this.doneBy(client), own) };
  }

  private doneBy(client: Client): Footprint {
    return this.done.get(client) ?? NOTHING;
  }
}

function pidOf(client: Client): number {
  return (client as unknown as { processID: number }).processID;
}
