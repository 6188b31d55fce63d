import { claimCode, getBalances, getMyCode, signInAnonymously } from './generated';
import { createClient } from './generated/client';

/** The main job in ten lines: two users of an app, one invites the other, both are paid. */
export async function invite(baseUrl: string, clientKey: string) {
  const [ada, grace] = await Promise.all([signIn(baseUrl, clientKey), signIn(baseUrl, clientKey)]);
  const { data: mine } = await getMyCode({ client: ada, throwOnError: true });
  const { data: claim } = await claimCode({
    client: grace,
    body: { code: mine.data.code },
    throwOnError: true,
  });
  const { data: adas } = await getBalances({ client: ada, throwOnError: true });
  const { data: graces } = await getBalances({ client: grace, throwOnError: true });
  return { claim: claim.data, balances: { ada: adas.data, grace: graces.data } };
}

/** A client that sends the project's key and the session of a new user. */
async function signIn(baseUrl: string, clientKey: string) {
  const guest = createClient({ baseUrl, auth: clientKey });
  const { data } = await signInAnonymously({ client: guest, throwOnError: true });
  return createClient({
    baseUrl,
    auth: ({ type }) => (type === 'apiKey' ? clientKey : data.data.session_token),
  });
}
