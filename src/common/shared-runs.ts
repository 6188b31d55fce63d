/**
 * Expensive reads, one at a time: however many ask, one connection is busy with it.
 *
 * Who asks while a run for the same key waits for its turn shares it. A run that has begun is not shared, since its
 * data may be older than the question.
 */
export class SharedRuns<T> {
  /** Runs that have not begun, by key. */
  private readonly waiting = new Map<string, Promise<T>>();
  private last: Promise<unknown> = Promise.resolve();

  run(key: string, work: () => Promise<T>): Promise<T> {
    const shared = this.waiting.get(key);
    if (shared) return shared;
    const run = this.last.then(() => {
      this.waiting.delete(key);
      return work();
    });
    this.waiting.set(key, run);
    this.last = run.catch(() => undefined);
    return run;
  }
}
