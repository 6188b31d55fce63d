import { randomUUID } from 'node:crypto';
import { PaymentsService } from '../../src/rewards/payments.service';
import type { Player, Tenant, World } from './world';

const HOUR_MS = 60 * 60 * 1000;

/** What the sabotage is done to, and the project beside it, which must not suffer. */
export interface Scene {
  projectId: string;
  serverKey: string;
  clientKey: string;
  /** Owns the code ADA, which grace and eve claimed. Her second reward in gems was clamped, at 40. */
  ada: Player;
  /** Claimed three codes more, for silver: the ledger has three lines, 5 each. */
  grace: Player;
  eve: Player;
  other: { projectId: string; serverKey: string; player: Player };
}

/** A project in which everything occurs that can: clamped, pending and dead rewards, keys, sessions of every kind. */
export async function buildScene(world: World): Promise<Scene> {
  const [tenant, neighbour] = [await world.tenant(), await world.tenant()];
  const [ada, grace, eve] = (await tenant.players(3)) as [Player, Player, Player];
  await tenant.currency({ code: 'gems', maxBalance: 40 });
  for (const code of ['gold', 'silver']) await tenant.currency({ code });
  const rewards = { rewardReferrer: { gems: 30 }, rewardReferee: { gems: 10, gold: 1 } };
  await tenant.code({ code: 'ADA', userId: ada.id, ...rewards });
  await tenant.deleteCurrency('gold');

  await world.claim(grace, 'ADA', { 'idempotency-key': 'key-1' }).expect(201);
  for (let tries = 1; tries < 25; tries += 1) {
    await world.app.get(PaymentsService).payDue(new Date(Date.now() + tries * 10 * HOUR_MS));
  }
  await world.claim(eve, 'ADA', { 'idempotency-key': 'key-2' }).expect(201);
  for (const code of ['S1', 'S2', 'S3']) {
    await tenant.code({ code: `SILVER${code}`, rewardReferee: { currency: 'silver', amount: 5 } });
    await world.claim(grace, `SILVER${code}`).expect(201);
  }
  await world.http
    .post(`/v1/admin/projects/${tenant.id}/currencies/grant`)
    .set(tenant.server)
    .send({ app_user_id: eve.id, currency_code: 'silver', amount: 7, reason: 'Sorry' })
    .expect(201);
  await openSessions(world, tenant);

  const stranger = await neighbour.player();
  await neighbour.currency({ code: 'gems' });
  await neighbour.code({ code: 'ADA', rewardReferee: { gems: 1 } });
  await world.claim(stranger, 'ADA', { 'idempotency-key': 'key-1' }).expect(201);
  return {
    projectId: tenant.id,
    serverKey: tenant.serverKey,
    clientKey: tenant.clientKey,
    ...{ ada, grace, eve },
    other: { projectId: neighbour.id, serverKey: neighbour.serverKey, player: stranger },
  };
}

/** One with a password, whose token was rotated; one that logged out. */
async function openSessions(world: World, tenant: Tenant): Promise<void> {
  const login = { email: `${randomUUID()}@example.com`, password: 'correct horse' };
  const { refresh_token } = (await world.auth(tenant, 'email/signup', login).expect(201)).body.data;
  await world.auth(tenant, 'refresh', { refresh_token }).expect(200);
  const guest = (await world.auth(tenant, 'anonymous').expect(201)).body.data;
  await world.auth(tenant, 'logout', { refresh_token: guest.refresh_token }).expect(200);
}
