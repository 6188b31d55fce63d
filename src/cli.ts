import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module';
import { program } from './cli/command-line';
import './cli/developers';
import './cli/integrity';
import './cli/programs';
import './cli/projects';
import './cli/rewards';
import './cli/users';
import { runCommand } from './common/run-command';
import { loadConfig } from './config';
import { openApiDocument } from './openapi';

/** `npm run cli -- …`: administers projects, beside a running server or without. */

program
  .command('openapi')
  .description('prints the OpenAPI document; needs no database')
  .action(async () => {
    const app = await NestFactory.create(
      AppModule.on(loadConfig({ SESSION_SECRET: 'nothing is signed here, 32 chars+' }), ''),
      { preview: true, logger: false },
    );
    process.stdout.write(`${JSON.stringify(openApiDocument(app), null, 2)}\n`);
  });

runCommand(async () => {
  await program.parseAsync();
});
