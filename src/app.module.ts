import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER, APP_INTERCEPTOR, APP_PIPE } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Registry } from 'prom-client';
import { AuditModule } from './audit/audit.module';
import { AnalyticsModule } from './analytics/analytics.module';
import { AuthModule } from './auth/auth.module';
import { ApiErrorFilter } from './common/api-error.filter';
import { EnvelopeInterceptor } from './common/envelope.interceptor';
import { inputPipe } from './common/input.pipe';
import { CONFIG, type Config } from './config';
import { Currency } from './currency/currency.entity';
import { CurrencyModule } from './currency/currency.module';
import { dataSourceOptions } from './database/data-source-options';
import { DatabaseGauges } from './database/database-gauges';
import { ReadDatabase } from './database/read-database';
import { DevelopersModule } from './developers/developers.module';
import { HousekeepingModule } from './housekeeping/housekeeping.module';
import { IntegrityModule } from './integrity/integrity.module';
import { OpsModule } from './ops/ops.module';
import { Project } from './projects/project.entity';
import { ProjectsModule } from './projects/projects.module';
import { ReferralClaim } from './referrals/referral-claim.entity';
import { ReferralCode } from './referrals/referral-code.entity';
import { ReferralsModule } from './referrals/referrals.module';
import { RewardsModule } from './rewards/rewards.module';
import { UserAdminModule } from './user-admin/user-admin.module';
import { AppUser } from './users/app-user.entity';
import { UsersModule } from './users/users.module';

const ENTITIES = [Project, AppUser, Currency, ReferralCode, ReferralClaim];

/** The composition root: every feature, on one configuration and one database. */
@Module({})
export class AppModule {
  static on(config: Config, databaseUrl: string): DynamicModule {
    const database = {
      url: databaseUrl,
      poolSize: config.databasePoolSize,
      preparedStatements: config.preparedStatements,
    };
    return {
      module: AppModule,
      imports: [
        {
          module: CommonModule,
          global: true,
          providers: [{ provide: CONFIG, useValue: config }, Registry, DatabaseGauges, ReadDatabase],
          exports: [CONFIG, Registry, DatabaseGauges, ReadDatabase],
        },
        TypeOrmModule.forRoot({ ...dataSourceOptions(database, ENTITIES), retryAttempts: 0 }),
        AuthModule,
        AuditModule,
        ProjectsModule,
        DevelopersModule,
        UsersModule,
        CurrencyModule,
        RewardsModule,
        ReferralsModule,
        UserAdminModule,
        IntegrityModule,
        AnalyticsModule,
        HousekeepingModule,
        OpsModule,
      ],
      providers: [
        { provide: APP_FILTER, useClass: ApiErrorFilter },
        { provide: APP_INTERCEPTOR, useClass: EnvelopeInterceptor },
        { provide: APP_PIPE, useFactory: inputPipe },
      ],
    };
  }
}

/** What every feature may ask for: the configuration, and where it registers its metrics. */
class CommonModule {}
