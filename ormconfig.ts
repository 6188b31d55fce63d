import 'reflect-metadata';
import { DataSource } from 'typeorm';
import { StartupError } from './src/common/startup-error';
import { loadDatabaseConfig } from './src/config';
import { migrationDataSourceOptions } from './src/database/data-source-options';

const { databaseUrl } = loadDatabaseConfig();
if (databaseUrl === undefined) {
  throw new StartupError('The TypeORM command line needs DATABASE_URL. Without it, run: npm run migrate');
}

/** For the TypeORM command line: `npx typeorm migration:show -d dist/ormconfig.js`. */
export default new DataSource(migrationDataSourceOptions(databaseUrl));
