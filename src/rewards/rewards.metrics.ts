import { Inject, Injectable } from '@nestjs/common';
import { Counter, Gauge, Registry } from 'prom-client';
import { CONFIG, type Config } from '../config';
import type { CreditResult } from '../currency/ledger.service';
import { DatabaseGauges } from '../database/database-gauges';
import { BACKLOG, COUNTED_AT_MOST, type Backlog } from './backlog';

/** Who tried to pay: the claim right after its commit, the sweeper, or an operator's replay right after its own. */
export type PaidBy = (typeof PAID_BY)[number];

const PAID_BY = ['claim', 'sweep', 'replay'] as const;
const RESULTS = ['granted', 'failed'] as const;

/** Promises: what is still owed, as the database knows, and what this instance did about it. */
@Injectable()
export class RewardsMetrics {
  private readonly payments: Counter;
  private sweptAt = performance.now();

  constructor(
    private readonly registry: Registry,
    database: DatabaseGauges,
    @Inject(CONFIG) { sweepIntervalMs }: Config,
  ) {
    this.payments = new Counter({
      name: 'amba_reward_payments_total',
      help: 'Promises that this instance paid, and tries that failed and are repeated, by who tried.',
      labelNames: ['path', 'result'],
      registers: [registry],
    });
    // from the start, so that a rate sees the first one
    for (const path of PAID_BY) for (const result of RESULTS) this.payments.inc({ path, result }, 0);
    this.tellBacklog(database);
    if (sweepIntervalMs > 0) this.tellLag();
  }

  /** Counts promises whose payment is committed; those without a currency failed. */
  count(path: PaidBy, results: CreditResult[]): void {
    for (const result of results) this.payments.inc({ path, result: result ? 'granted' : 'failed' });
  }

  /** Counts a try that failed. */
  countFailure(path: PaidBy): void {
    this.payments.inc({ path, result: 'failed' });
  }

  /** A sweep came to its end. */
  noteSweep(): void {
    this.sweptAt = performance.now();
  }

  private tellBacklog(database: DatabaseGauges): void {
    const gauge = (name: string, help: string) =>
      new Gauge({ name: `amba_rewards_${name}`, help, registers: [this.registry] });
    const upTo = `counted up to ${COUNTED_AT_MOST}`;
    const pending = gauge('pending', `Promises that are not paid yet, ${upTo}.`);
    const due = gauge('due', `Pending promises whose next try is due, ${upTo}.`);
    const oldestDue = gauge(
      'oldest_due_seconds',
      'For how long the oldest due promise has been due; 0 for none.',
    );
    const dead = gauge('dead', `Promises that were tried in vain and wait for an operator, ${upTo}.`);
    database.add<Backlog>({
      gauges: [pending, due, oldestDue, dead],
      statement: BACKLOG,
      show: ([row]) => {
        if (row === undefined) return;
        pending.set(row.pending);
        due.set(row.due);
        oldestDue.set(row.oldest_due_s);
        dead.set(row.dead);
      },
    });
  }

  private tellLag(): void {
    const sinceSweep = () => (performance.now() - this.sweptAt) / 1000;
    new Gauge({
      name: 'amba_reward_sweep_lag_seconds',
      help: 'Time since this instance last came to the end of a sweep, or since it started.',
      registers: [this.registry],
      collect() {
        this.set(sinceSweep());
      },
    });
  }
}
