import 'reflect-metadata';
import { loadDatabaseConfig } from './config';
import { openDatabase } from './database/database';
import { runCommand } from './common/run-command';

const say = (line: string) => process.stdout.write(`${line}\n`);

/** `npm run migrate`: brings the schema up to date and ends. Safe to run from several machines at once. */
runCommand(async () => {
  const database = await openDatabase(loadDatabaseConfig(), { role: 'command', log: say });
  await database.close();
  say(
    database.migrated.length > 0 ? `Migrated: ${database.migrated.join(', ')}` : 'The schema is up to date.',
  );
});
