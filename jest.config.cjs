/** Nest 12 and jose are ES modules, and an exporter of OpenTelemetry imports as it runs: what jest's own loader cannot is compiled like our sources. */
const transform = {
  '^.+\\.[mc]?[jt]s$': [
    '@swc/jest',
    {
      jsc: {
        parser: { syntax: 'typescript', decorators: true, dynamicImport: true },
        transform: { legacyDecorator: true, decoratorMetadata: true },
        target: 'es2023',
        keepClassNames: true,
      },
      module: { type: 'commonjs' },
    },
  ],
};

module.exports = {
  testMatch: ['<rootDir>/test/**/*.spec.ts'],
  transform,
  // what is imported as ES modules are: files of the generated client, and what is loaded only when it is used
  moduleNameMapper: { '^(\\.{1,2}/.*(?:\\.gen|/index|\\.setup))\\.js$': '$1' },
  transformIgnorePatterns: [
    '/node_modules/(?!(@nestjs|jose|fast-check|pure-rand|@opentelemetry/otlp-exporter-base)/)',
  ],
  testEnvironment: 'node',
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  testTimeout: 30_000,
  // more than the two cores of a CI machine: much of the time is spent waiting for programs, locks and time limits
  maxWorkers: 4,
  testSequencer: '<rootDir>/test/support/longest-first.cjs',
};
