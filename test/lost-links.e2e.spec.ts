import { fillPath, operations, type Operation } from './support/operations';
import { startProxiedWorld } from './support/proxied-world';
import { stageProject, type Stage } from './support/stage';
import type { TcpProxy } from './support/tcp-proxy';
import type { World } from './support/world';

/**
 * Every read, whose connection PostgreSQL ends after its first answer, after its second, and so on: what comes after
 * that has lost its link between two statements.
 */

/** How the answer to all that was sent ends: ReadyForQuery, whatever the state of the transaction. */
const READY = Buffer.from([0x5a, 0, 0, 0, 5]);
const isWhole = (chunk: Buffer) => chunk.subarray(-1 - READY.length, -1).equals(READY);

let world: World;
let proxy: TcpProxy;
let close: () => Promise<void>;
let stage: Stage;

beforeAll(async () => {
  ({ world, proxy, close } = await startProxiedWorld());
  stage = await stageProject(world);
  await world.myCode(stage.player).expect(201);
});

afterAll(() => close());

/** A full page, so that the rest must be counted. */
function addressOf({ path, parameters }: Operation): string {
  const isList = parameters.some(({ name }) => name === 'limit');
  return fillPath(path, stage.ids) + (isList ? '?limit=1' : '');
}

/** @param fatal the answer of the database after which it ends the connection, from 1 on */
async function read(operation: Operation, fatal: number): Promise<{ isStruck: boolean; outcome: string }> {
  let answers = 0;
  proxy.onServerData = (chunk) => {
    if (isWhole(chunk)) answers += 1;
    return isWhole(chunk) && answers === fatal ? 'forward and end' : 'forward';
  };
  const { headers } = operation.path.startsWith('/v1/client/') ? stage.player : stage.owner;
  const { status, body } = await world.http.get(addressOf(operation)).set(headers);
  proxy.onServerData = () => 'forward';
  const error = (body as { error?: { code: string } }).error?.code;
  return { isStruck: answers >= fatal, outcome: error ? `${status} ${error}` : String(status) };
}

const READS = operations().filter(({ method, path }) => method === 'get' && path.startsWith('/v1/'));
/** They read more than once on one connection; all others have it back after each statement, and take another. */
const HOLD_A_CONNECTION =
  /projects$|projectId\}\/(users|currencies|referrals|reconciliation|integrity|analytics)$|export$/;

it.each(READS.map((operation) => [operation.path, operation] as const))('GET %s', async (path, operation) => {
  const outcomes = new Set<string>();
  for (let fatal = 1; ; fatal += 1) {
    const { isStruck, outcome } = await read(operation, fatal);
    outcomes.add(outcome);
    if (!isStruck) break;
  }
  const lost = HOLD_A_CONNECTION.test(path) ? ['503 SERVICE_UNAVAILABLE'] : [];
  expect([...outcomes].sort()).toEqual(['200', ...lost]);
});
