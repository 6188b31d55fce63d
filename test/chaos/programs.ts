import { send, type Request } from './http';

/** A project that clients claim in. */
export interface Program {
  projectId: string;
  clientKey: string;
  serverKey: string;
  /** As they are typed. */
  codes: string[];
  /** The codes that can fill up. */
  limited: Set<string>;
}

const OWNERS = 8;
const LIMITS = [20, 50, 100, 200];
const SETUP_TIMEOUT_MS = 30_000;
const TEMPLATE = { reward_referrer: { gems: 50 }, reward_referee: { gems: 25, coins: 200 } };
/** Both sides in one currency, in two, in the same two the other way round, one side only, the single shape, nothing. */
const OWNED_REWARDS = [
  TEMPLATE,
  { reward_referrer: { gems: 5, coins: 3 }, reward_referee: { coins: 2, gems: 4 } },
  { reward_referrer: { coins: 7 }, reward_referee: { coins: 1 } },
  { reward_referrer: { currency: 'coins', amount: 11 }, reward_referee: {} },
];

/** Two projects, through the routes that an operator has: only `gems` has a maximum, which is soon reached. */
export async function setUpPrograms(url: string): Promise<Program[]> {
  const call = async (request: Request): Promise<any> => {
    const answer = await send(url, request, SETUP_TIMEOUT_MS);
    if (answer === undefined || answer.status >= 300) {
      throw new Error(`The set-up failed at ${request.path}: ${JSON.stringify(answer)}`);
    }
    return answer.body.data;
  };
  const credentials = { email: 'chaos@example.com', password: 'correct horse battery' };
  const { pat, project } = await call({ path: '/v1/auth/developer/signup', body: credentials });
  const admin = { authorization: `Bearer ${pat}` };
  const second = await call({ path: '/v1/admin/projects', headers: admin, body: { name: 'Second' } });
  return Promise.all([
    fill(call, project.id, project.api_keys),
    fill(call, second.project.id, second.api_keys),
  ]);
}

async function fill(
  call: (request: Request) => Promise<any>,
  projectId: string,
  keys: { client: string; server: string },
): Promise<Program> {
  const headers = { authorization: `Bearer ${keys.server}` };
  const path = `/v1/admin/projects/${projectId}`;
  const currencies = [
    { code: 'coins', name: 'Coins', initial_balance: 100 },
    { code: 'gems', name: 'Gems', max_balance: 400 },
  ];
  for (const body of currencies) await call({ path: `${path}/currencies`, headers, body });

  const ownerless = [
    { code: 'FRIENDS', ...TEMPLATE },
    { code: 'WELCOME', reward_referee: { currency: 'coins', amount: 5 } },
    { code: 'NOTHING' },
    ...LIMITS.map((max_uses) => ({ code: `FIRST-${max_uses}`, reward_referee: { gems: 9 }, max_uses })),
  ];
  for (const body of ownerless) await call({ path: `${path}/referrals`, headers, body });

  const codes = ownerless.map(({ code }) => code);
  for (let owner = 0; owner < OWNERS; owner += 1) {
    const { session_token } = await call({
      path: `${path}/users/session`,
      headers,
      body: { external_id: `owner-${owner}` },
    });
    const { id, code } = await call({
      path: '/v1/client/referrals/my-code',
      headers: { 'x-api-key': keys.client, authorization: `Bearer ${session_token}` },
    });
    const body = OWNED_REWARDS[owner % OWNED_REWARDS.length];
    await call({ path: `${path}/referrals/${id}`, method: 'PATCH', headers, body });
    codes.push(code as string);
  }
  const limited = new Set(LIMITS.map((max) => `FIRST-${max}`));
  return { projectId, clientKey: keys.client, serverKey: keys.server, codes, limited };
}
