import { randomUUID } from 'node:crypto';
import { SignInService } from '../../src/users/sign-in.service';
import { IdentityTokensService } from '../../src/users/identity-tokens.service';
import { TESTER, type Player, type Tenant, type TestDeveloper, type World } from './world';

/** A project in which every id of a path names something, so that its owner's own requests work. */
export interface Stage {
  owner: TestDeveloper;
  tenant: Tenant;
  /** Has nothing but a session. */
  player: Player;
  /** Of the player. */
  refreshToken: string;
  /** By the names that paths have for them. `grantId` is a pending promise, `keyId` the client key. */
  ids: Record<string, string>;
}

/** @param owner who owns the project; a new developer otherwise */
export async function stageProject(world: World, owner?: TestDeveloper): Promise<Stage> {
  const by = owner ?? (await world.developer());
  const tenant = await world.tenant({ ownerId: by.id });
  await tenant.currency({ code: 'gems' });
  const { id: codeId } = await tenant.code({ code: 'PROMO', rewardReferee: { gems: 1 } });
  await tenant.deleteCurrency('gems');
  await world.claim(await tenant.player(), 'PROMO').expect(201);
  const { id: currencyId } = await tenant.currency({ code: 'gems' });
  await world.app.get(IdentityTokensService).configure(TESTER, tenant.id, 'apple', ['our-app']);
  await world.app.get(IdentityTokensService).configure(TESTER, tenant.id, 'google', ['our-app']);
  const player = await tenant.player();
  const { tokens } = await world.app.get(SignInService).known(tenant.id, player.id);
  const [{ id: grantId }] = await world.db.query(`SELECT id FROM reward_grants WHERE project_id = $1`, [
    tenant.id,
  ]);
  const [{ id: keyId }] = await world.db.query(
    `SELECT id FROM api_keys WHERE project_id = $1 AND key_type = 'client'`,
    [tenant.id],
  );
  return {
    ...{ owner: by, tenant, player, refreshToken: tokens.refreshToken },
    ids: {
      ...{ projectId: tenant.id, currencyId, codeId, grantId, keyId },
      ...{ userId: player.id, provider: 'apple' },
    },
  };
}

/** An e-mail that nobody has, and a password. */
export const newLogin = () => ({ email: `${randomUUID()}@example.com`, password: 'correct horse' });

/** Only what is dead or cancelled is replayed. */
export async function cancelGrant(world: World, { tenant, ids }: Stage): Promise<void> {
  await world.http
    .post(`/v1/admin/projects/${tenant.id}/reward-grants/${ids.grantId}/cancel`)
    .set(tenant.server)
    .send({ reason: 'to be replayed' })
    .expect(200);
}
