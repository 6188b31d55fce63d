import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { WorkerLoop } from '../common/worker-loop';
import { CONFIG, type Config } from '../config';
import { PaymentsService } from './payments.service';

/** Every instance sweeps; there is no leader. An interval of 0 leaves the sweeping to the others. */
@Injectable()
export class RewardSweeper implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly loop?: WorkerLoop;

  constructor(payments: PaymentsService, @Inject(CONFIG) config: Config) {
    if (config.sweepIntervalMs > 0) {
      this.loop = new WorkerLoop(
        RewardSweeper.name,
        (now, signal) => payments.payDue(now, signal),
        config.sweepIntervalMs,
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
