import { rmSync } from 'node:fs';
import { Client } from 'pg';

export default async function tearDown(): Promise<void> {
  const { embedded, dataDir, url, template } = globalThis.testServer;
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
