import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { WorkerLoop } from '../common/worker-loop';
import { CONFIG, type Config } from '../config';
import { PaymentsService } from './payments.service';
import { RewardsMetrics } from './rewards.metrics';

/** Every instance sweeps; there is no leader. An interval of 0 leaves the sweeping to the others. */
@Injectable()
export class RewardSweeper implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly loop?: WorkerLoop;

  constructor(
    private readonly payments: PaymentsService,
    private readonly metrics: RewardsMetrics,
    @Inject(CONFIG) { sweepIntervalMs }: Config,
  ) {
    if (sweepIntervalMs > 0) {
      const sweep = (now: Date, signal: AbortSignal) => this.sweep(now, signal);
      this.loop = new WorkerLoop(RewardSweeper.name, sweep, sweepIntervalMs);
    }
  }

  onApplicationBootstrap(): void {
    this.loop?.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.loop?.stop();
  }

  private async sweep(now: Date, signal: AbortSignal): Promise<boolean> {
    const hasMore = await this.payments.payDue(now, signal);
    this.metrics.noteSweep();
    return hasMore;
  }
}
