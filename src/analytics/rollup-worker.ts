import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { WorkerLoop } from '../common/worker-loop';
import { CONFIG, type Config } from '../config';
import { RollupsService } from './rollups.service';

/** Hours close once an hour, so that a look now and then is enough: one for so many sweeps, each one index read. */
const SWEEPS_PER_LOOK = 10;

/** Every instance rolls up; there is no leader. A sweep interval of 0 leaves it to the others. */
@Injectable()
export class RollupWorker implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly loop?: WorkerLoop;

  constructor(rollups: RollupsService, @Inject(CONFIG) config: Config) {
    if (config.sweepIntervalMs > 0) {
      this.loop = new WorkerLoop(
        RollupWorker.name,
        (now) => rollups.runOnce(now),
        config.sweepIntervalMs * SWEEPS_PER_LOOK,
      );
    }
  }

  onApplicationBootstrap(): void {
    this.loop?.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.loop?.stop();
  }
}
