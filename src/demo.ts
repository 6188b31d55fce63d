import type { INestApplicationContext } from '@nestjs/common';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Actor } from './auth/actor';
import { ApiError } from './common/api-error';
import type { Config } from './config';
import { CurrencyService } from './currency/currency.service';
import { ProjectsService } from './projects/projects.service';
import { ReferralCodesService } from './referrals/referral-codes.service';
import { EXAMPLE_CODE } from './referrals/referrals.dto';
import { SignInService } from './users/sign-in.service';
import { UsersService } from './users/users.service';

/** What a developer needs to try the demo project. */
interface Demo {
  projectId: string;
  clientKey: string;
  serverKey: string;
  adaToken: string;
  graceToken: string;
}

/** Kept beside the data: a key is stored as a digest only and could not be shown again. */
interface DemoFile {
  projectId: string;
  clientKey: string;
  serverKey: string;
  adaId: string;
  graceId: string;
}

const DEMO_FILE = 'demo.json';
const SEED: Actor = { kind: 'command_line', id: null, name: 'demo', address: null, requestId: null };

/**
 * Fills an empty database with a project, two currencies, a template and two users, and opens a session for each.
 *
 * @returns undefined when the database holds other projects, or no longer the demo
 */
export async function seedDemo(app: INestApplicationContext, { dataDir }: Config): Promise<Demo | undefined> {
  const file = join(dataDir, DEMO_FILE);
  if (await app.get(ProjectsService).isEmpty()) {
    writeFileSync(file, JSON.stringify(await makeProject(app), null, 2), { mode: 0o600 });
  }
  const demo = readDemoFile(file);
  if (demo === undefined) return undefined;
  const signIn = app.get(SignInService);
  const tokenOf = async (userId: string) => (await signIn.known(demo.projectId, userId)).tokens.sessionToken;
  try {
    const { projectId, clientKey, serverKey } = demo;
    return {
      ...{ projectId, clientKey, serverKey },
      adaToken: await tokenOf(demo.adaId),
      graceToken: await tokenOf(demo.graceId),
    };
  } catch (error) {
    // the database was replaced since: what the file names is not in it
    if (error instanceof ApiError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

async function makeProject(app: INestApplicationContext): Promise<DemoFile> {
  const { project, keys } = await app.get(ProjectsService).create(SEED, { name: 'Demo' }, 'development');
  const currencies = app.get(CurrencyService);
  await currencies.create(SEED, project.id, { code: 'coins', name: 'Coins', initialBalance: 100 });
  await currencies.create(SEED, project.id, {
    code: 'gems',
    name: 'Gems',
    isPremium: true,
    maxBalance: 1000,
  });
  const codes = app.get(ReferralCodesService);
  const rewards = { rewardReferrer: { gems: 50 }, rewardReferee: { gems: 25, coins: 200 } };
  await codes.create(SEED, project.id, { code: 'WELCOME', ...rewards });
  const users = app.get(UsersService);
  const ada = await users.create(project.id, { externalId: 'ada', displayName: 'Ada' });
  const grace = await users.create(project.id, { externalId: 'grace', displayName: 'Grace' });
  // with a known spelling, so that the examples of the API's reference work on it
  await codes.create(SEED, project.id, { code: EXAMPLE_CODE, userId: ada.id, ...rewards });
  return {
    projectId: project.id,
    clientKey: keys.client.key,
    serverKey: keys.server.key,
    ...{ adaId: ada.id, graceId: grace.id },
  };
}

function readDemoFile(file: string): DemoFile | undefined {
  try {
    const demo = JSON.parse(readFileSync(file, 'utf8')) as Partial<DemoFile>;
    // one from before there was a server key in it cannot be shown whole
    return demo.serverKey === undefined ? undefined : (demo as DemoFile);
  } catch {
    return undefined;
  }
}

/** The lines to paste: read Ada's code, let Grace claim it, see both rewards. */
export function describeDemo(demo: Demo, url: string): string {
  const { projectId, clientKey, serverKey, adaToken, graceToken } = demo;
  const as = (user: string) => `-H "X-Api-Key: $KEY" -H "Authorization: Bearer $${user}"`;
  const claim = `-H 'Content-Type: application/json' -d '{"code":"${EXAMPLE_CODE}"}'`;
  return `
A demo project with two users, Ada and Grace, is ready to try. Its keys and their session tokens:

PROJECT=${projectId}
KEY=${clientKey}
SERVER=${serverKey}
ADA=${adaToken}
GRACE=${graceToken}

Paste the five lines above, then these, to read Ada's code, let Grace claim it, see both rewards, and see as the operator
that every promised reward was paid:

curl -s ${url}/v1/client/referrals/my-code ${as('ADA')}; echo
curl -s ${url}/v1/client/referrals/claim ${as('GRACE')} ${claim}; echo
curl -s ${url}/v1/client/currencies ${as('ADA')}; echo
curl -s ${url}/v1/client/currencies ${as('GRACE')}; echo
curl -s ${url}/v1/admin/projects/$PROJECT/reward-grants -H "Authorization: Bearer $SERVER"; echo

Ctrl-C stops the server. The data stays; the next start finds it.`;
}
