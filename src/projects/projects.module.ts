import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module';
import { ClientConfigController } from './client-config.controller';
import { ProjectsService } from './projects.service';

/** The tenants. */
@Module({
  imports: [AuthModule],
  controllers: [ClientConfigController],
  providers: [ProjectsService],
  exports: [ProjectsService],
})
export class ProjectsModule {}
