import type { Config } from '@jest/types';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { PROMISE } from './conformance';

export default async function tearDown({ testPathPatterns }: Config.GlobalConfig): Promise<void> {
  await stopServer();
  const missing = unseenAnswers();
  // one file of the suite cannot see everything
  if (testPathPatterns.patterns.length === 0 && missing.length > 0) {
    throw new Error(`No test saw these answers, which the OpenAPI document promises:\n${missing.join('\n')}`);
  }
}

/** What `conformance.ts` noted in all test files, against what the document promises. */
function unseenAnswers(): string[] {
  const file = process.env.TEST_SIGHTINGS ?? '';
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  rmSync(join(file, '..'), { recursive: true, force: true });
  const promised = lines.filter((line) => line.startsWith(PROMISE)).map((line) => line.slice(PROMISE.length));
  const seen = new Set(lines);
  return [...new Set(promised)].filter((promise) => !seen.has(promise)).sort();
}

async function stopServer(): Promise<void> {
  const { embedded, dataDir, url, template, pooler } = globalThis.testServer;
  await pooler?.close();
  if (embedded) {
    await embedded.close();
    if (dataDir) rmSync(dataDir, { recursive: true, force: true });
    return;
  }
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(`DROP DATABASE ${template} WITH (FORCE)`);
  await client.end();
}
