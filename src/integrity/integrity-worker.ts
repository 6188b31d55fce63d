import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { WorkerLoop } from '../common/worker-loop';
import { CONFIG, type Config } from '../config';
import { IntegrityRunsService } from './integrity-runs.service';

/** A check is due once an interval; each instance looks this often whether one is. */
const LOOK_MS = 60_000;

@Injectable()
export class IntegrityWorker implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly loop?: WorkerLoop;

  constructor(runs: IntegrityRunsService, @Inject(CONFIG) { integrityIntervalMs }: Config) {
    if (integrityIntervalMs === 0) return;
    this.loop = new WorkerLoop(
      IntegrityWorker.name,
      async (now, signal) => {
        await runs.runDue(now, integrityIntervalMs, signal);
        return false;
      },
      Math.min(LOOK_MS, integrityIntervalMs),
    );
  }

  onApplicationBootstrap(): void {
    this.loop?.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.loop?.stop();
  }
}
