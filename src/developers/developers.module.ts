import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module';
import { AuthModule } from '../auth/auth.module';
import { ProjectsModule } from '../projects/projects.module';
import { DeveloperSignInService } from './developer-sign-in.service';
import { DevelopersController } from './developers.controller';
import { DevelopersService } from './developers.service';

/** The accounts of developers. */
@Module({
  imports: [AuthModule, AuditModule, ProjectsModule],
  controllers: [DevelopersController],
  providers: [DevelopersService, DeveloperSignInService],
  exports: [DevelopersService],
})
export class DevelopersModule {}
