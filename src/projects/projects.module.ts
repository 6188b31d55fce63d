import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module';
import { ProjectsService } from './projects.service';

/** The tenants. */
@Module({ imports: [AuthModule], providers: [ProjectsService], exports: [ProjectsService] })
export class ProjectsModule {}
