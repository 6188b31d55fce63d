import { setTimeout } from 'node:timers/promises';
import { median } from './figures.mjs';
import { withTemporaryFolder } from './folder.mjs';
import { startServer, stop } from './programs.mjs';
import { PRODUCT } from './sides.mjs';
import { isUsageKnown, memoryOf } from './usage.mjs';

/** The server as a user starts it: `node dist/src/main.js` with its embedded PostgreSQL, on data that is there. */

const STARTS = 5;
const IDLE_S = 30;
const POLL_MS = 5;

/**
 * @returns `starts`: seconds from the start of the process to the first 200, sorted, and their `median`; `first`: the
 *   same of the very first start, which makes the database; `idle`: what the last one holds after 30 s without a request
 */
export async function measureColdStarts(adapter, tell) {
  return withTemporaryFolder(async (folder) => {
    tell(`${adapter}: ${STARTS} starts`);
    let server = await start(folder, adapter);
    const first = server.seconds;
    const starts = [];
    for (let i = 0; i < STARTS; i += 1) {
      await stop(server.child);
      server = await start(folder, adapter);
      starts.push(server.seconds);
    }
    tell(`${adapter}: ${IDLE_S} s without a request`);
    await setTimeout(1000 * IDLE_S);
    const idle = isUsageKnown ? memoryOf(server.pid) : undefined;
    await stop(server.child);
    return { first, starts: starts.toSorted((a, b) => a - b), median: median(starts), idle };
  });
}

async function start(folder, adapter) {
  const from = performance.now();
  const server = await startServer(PRODUCT, {
    ...{ NODE_ENV: undefined, DATABASE_URL: undefined, SESSION_SECRET: undefined },
    ...{ DATA_DIR: folder, HTTP_ADAPTER: adapter },
  });
  for (let isReady = false; !isReady;) {
    isReady = (await fetch(`${server.url}/health/ready`)).status === 200;
    if (!isReady) await setTimeout(POLL_MS);
  }
  return { ...server, seconds: (performance.now() - from) / 1000 };
}
