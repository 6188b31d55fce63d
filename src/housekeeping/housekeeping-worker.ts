import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { WorkerLoop } from '../common/worker-loop';
import { CONFIG, type Config } from '../config';
import { HousekeepingService } from './housekeeping.service';

/** Every instance removes; there is no leader. An interval of 0 leaves it to the others. */
@Injectable()
export class HousekeepingWorker implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly loop?: WorkerLoop;

  constructor(housekeeping: HousekeepingService, @Inject(CONFIG) { housekeepingIntervalMs }: Config) {
    if (housekeepingIntervalMs === 0) return;
    this.loop = new WorkerLoop(
      HousekeepingWorker.name,
      async (_, signal) => {
        await housekeeping.removeDue(signal);
        return false;
      },
      housekeepingIntervalMs,
    );
  }

  onApplicationBootstrap(): void {
    this.loop?.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.loop?.stop();
  }
}
