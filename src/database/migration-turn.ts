import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, QueryRunner } from 'typeorm';
import { inTransaction } from '../common/transaction';

/** Any number that nobody else in this database uses as an advisory lock. */
const MIGRATION_LOCK = 4_826_310_957;
const ASK_AGAIN_MS = 250;
/** Often enough for the limit on idle transactions below. */
const SIGN_OF_LIFE_MS = 15_000;

/** One whose process or link is gone holds up the others no longer than a minute. Takes no snapshot: see `inTurn`. */
const SIGN_OF_LIFE = `SET LOCAL idle_in_transaction_session_timeout = '60s'`;

/**
 * Does the work when nobody else in this database does it, however long that takes. The turn is a lock of an open transaction, so
 * that it works through transaction poolers too.
 *
 * The work may build indexes concurrently, and such a build waits for every transaction that has a snapshot, to its end. So
 * those who wait for their turn ask for it again and again: whoever waited for the lock would have a snapshot, and the
 * build, and with it the one who has the turn, would wait for them. Nor does the transaction of the turn ever have one that
 * lasts.
 */
export async function inTurn<T>(dataSource: DataSource, work: () => Promise<T>): Promise<T> {
  for (;;) {
    const outcome = await inTransaction(dataSource, async (queryRunner) => {
      await queryRunner.query(SIGN_OF_LIFE);
      return (await takeTurn(queryRunner)) ? { done: await whileAlive(queryRunner, work) } : undefined;
    });
    if (outcome) return outcome.done;
    await sleep(ASK_AGAIN_MS);
  }
}

/** Without parameters: the protocol that sends them keeps a statement's snapshot until the next one. */
async function takeTurn(queryRunner: QueryRunner): Promise<boolean> {
  const [answer] = (await queryRunner.query(
    `SELECT pg_try_advisory_xact_lock(${MIGRATION_LOCK}) AS taken`,
  )) as {
    taken: boolean;
  }[];
  return answer?.taken === true;
}

async function whileAlive<T>(queryRunner: QueryRunner, work: () => Promise<T>): Promise<T> {
  const timer = setInterval(
    () => void queryRunner.query(SIGN_OF_LIFE).catch(() => undefined),
    SIGN_OF_LIFE_MS,
  );
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
