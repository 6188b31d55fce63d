import { Logger } from '@nestjs/common';

/** One bounded piece of work, shorter when `signal` says stop; true when there may be more right now. */
export type RunOnce = (now: Date, signal: AbortSignal) => Promise<boolean>;

/**
 * Runs a worker until stopped: again at once while it finds work, else after the interval (±20 %, so that
 * several instances do not wake together). A failed run is logged and the loop goes on.
 */
export class WorkerLoop {
  private readonly logger: Logger;
  private timer?: NodeJS.Timeout;
  private running?: Promise<void>;
  private readonly stopping = new AbortController();

  constructor(
    name: string,
    private readonly runOnce: RunOnce,
    private readonly intervalMs: number,
  ) {
    this.logger = new Logger(name);
  }

  start(): void {
    this.schedule();
  }

  /** Resolves when the run under way, if any, has ended; no other follows. */
  async stop(): Promise<void> {
    this.stopping.abort();
    clearTimeout(this.timer);
    await this.running;
  }

  private schedule(): void {
    if (this.stopping.signal.aborted) return;
    const waitMs = this.intervalMs * (0.8 + Math.random() * 0.4);
    this.timer = setTimeout(() => {
      this.running = this.drain().finally(() => this.schedule());
    }, waitMs);
  }

  private async drain(): Promise<void> {
    try {
      const { signal } = this.stopping;
      while (!signal.aborted && (await this.runOnce(new Date(), signal)));
    } catch (error) {
      this.logger.error(error instanceof Error ? error.message : String(error));
    }
  }
}
