import { inTransaction } from '../../dist/src/common/transaction.js';
import { parseReward } from '../../dist/src/rewards/reward.js';
import { RewardsService } from '../../dist/src/rewards/rewards.service.js';

/**
 * The built product with its promises switched off, to show that a run of chaos finds lost rewards: nothing is stored
 * with a claim, and its rewards are paid after the commit, best effort. All else is the product as it is.
 */

RewardsService.prototype.promise = () => undefined;

RewardsService.prototype.payNow = async function ({ projectId, ...claim }) {
  const credits = [
    ...creditsOf(claim.id, claim.referrerId, claim.rewardReferrer),
    ...creditsOf(claim.id, claim.refereeId, claim.rewardReferee),
  ];
  try {
    await inTransaction(this.dataSource, (queryRunner) =>
      this.payments.ledger.credit(queryRunner, projectId, credits),
    );
  } catch (error) {
    console.error(`The rewards of claim ${claim.id} are lost: ${error}`);
  }
  return [];
};

function creditsOf(referenceId, userId, reward) {
  if (userId === null) return [];
  return parseReward(reward).map((item) => ({
    ...{ ...item, userId, referenceId },
    ...{ transactionType: 'earn', source: 'referral' },
  }));
}

await import('../../dist/src/main.js');
