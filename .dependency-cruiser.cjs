/**
 * The import rules of docs/architecture.md. Layers import downwards only:
 * common ← database ← limits ← auth ← audit ← projects ← developers, users ← currency ← rewards ← referrals ← user-admin ← analytics ← integrity ← housekeeping ← ops ← app.
 */
const LAYERS = [
  ...['common', 'database', 'limits', 'auth', 'audit', 'projects', 'developers', 'users'],
  ...['currency', 'rewards', 'referrals', 'user-admin', 'analytics', 'integrity', 'housekeeping', 'ops'],
];
/** These stand side by side: users know neither projects nor developers. */
const SIDE_BY_SIDE = { users: ['projects', 'developers'] };

const layerRules = LAYERS.map((layer, index) => ({
  name: `${layer}-imports-downwards-only`,
  severity: 'error',
  from: { path: `^src/${layer}/` },
  to: {
    path: [
      ...LAYERS.slice(index + 1).map((above) => `^src/${above}/`),
      ...(SIDE_BY_SIDE[layer] ?? []).map((other) => `^src/${other}/`),
      '^src/(?!config\\.ts$)[^/]+\\.ts$',
      '^src/cli/',
    ],
  },
}));

module.exports = {
  forbidden: [
    ...layerRules,
    {
      name: 'common-knows-no-configuration',
      severity: 'error',
      from: { path: '^src/common/' },
      to: { path: '^src/config\\.ts$' },
    },
    {
      name: 'the-configuration-knows-no-feature',
      severity: 'error',
      from: { path: '^src/(config|environment)\\.ts$' },
      to: { path: '^src/', pathNot: ['^src/common/', '^src/environment\\.ts$'] },
    },
    {
      name: 'every-folder-is-a-layer',
      comment: 'A new folder joins LAYERS, or it could carry imports upwards unseen.',
      severity: 'error',
      from: {},
      to: { path: '^src/[^/]+/', pathNot: ['^src/cli/', ...LAYERS.map((layer) => `^src/${layer}/`)] },
    },
    {
      name: 'every-import-is-found',
      severity: 'error',
      from: { path: '^(src|migrations)/' },
      to: { couldNotResolve: true },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'migrations-are-frozen',
      comment: 'A migration is SQL that never changes; code that does change must not reach it.',
      severity: 'error',
      from: { path: '^migrations/' },
      to: { path: '^src/' },
    },
    {
      name: 'no-typeorm-at-the-edge',
      comment: 'Controllers, guards and DTOs talk to services.',
      severity: 'error',
      from: { path: '\\.(controller|guard|dto)\\.ts$' },
      to: { path: 'node_modules/(typeorm|@nestjs/typeorm|pg)/' },
    },
    {
      name: 'features-do-not-know-the-http-adapter',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(main|\\w+\\.setup)\\.ts$' },
      to: {
        path: 'node_modules/((@types/)?(express|express-serve-static-core)|@?fastify)/|@nestjs/platform-',
      },
    },
    {
      name: 'other-features-entities-as-types-only',
      comment: 'Features meet at services.',
      severity: 'error',
      from: { path: '^src/([^/]+)/' },
      to: {
        path: '^src/[^/]+/.+\\.(entity|dto|controller)\\.ts$',
        pathNot: ['^src/$1/', '^src/common/'],
        dependencyTypesNot: ['type-only'],
      },
    },
    { name: 'no-orphans', severity: 'error', from: { orphan: true, path: '^src/' }, to: {} },
    {
      name: 'no-dev-dependencies',
      severity: 'error',
      from: { path: '^(src|migrations)/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['require', 'node', 'default', 'types'],
    },
  },
};
