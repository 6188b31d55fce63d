import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { parse, parseAllDocuments } from 'yaml';
import { Environment } from '../src/environment';

/** The manifests of deploy/kubernetes against what Kubernetes knows, against each other and against the server. */

const ROOT = join(__dirname, '..');
const FOLDER = join(ROOT, 'deploy/kubernetes');
const read = (file: string) => readFileSync(join(FOLDER, file), 'utf8');

interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels: Record<string, string> };
  spec: any;
}

const kustomization = parse(read('kustomization.yaml')) as Record<string, any>;
const rule = read('monitoring/prometheus-rule.yaml');
const alerts = readFileSync(join(ROOT, 'monitoring/alerts.yml'), 'utf8');

const manifests = [
  ...(kustomization.resources as string[]).map(read),
  ...(parse(read('monitoring/kustomization.yaml')).resources as string[]).map((file) =>
    read(`monitoring/${file}`),
  ),
  rule + alerts.replace(/^(?=.)/gm, '  '),
].flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as Manifest));

const of = (kind: string) => {
  const found = manifests.filter((manifest) => manifest.kind === kind);
  expect([kind, found.length]).toEqual([kind, 1]);
  return found[0] as Manifest;
};

/** Where the types of an API are. */
const packageOf = (apiVersion: string) =>
  `${apiVersion.startsWith('monitoring.coreos.com/') ? '@kubernetes-models/prometheus-operator' : 'kubernetes-models'}/${apiVersion}`;

/**
 * What the compiler says to each manifest as a literal of its type: names that Kubernetes does not know, what is missing,
 * and values of another type.
 */
function faultsOf(list: Manifest[]): string[] {
  const file = join(ROOT, 'test/manifests.ts');
  const text = list
    .map(
      (manifest, index) =>
        `export const m${index}: import('${packageOf(manifest.apiVersion)}').I${manifest.kind} = ${JSON.stringify(manifest)};`,
    )
    .join('\n');
  const options: ts.CompilerOptions = {
    ...{ strict: true, noEmit: true, skipLibCheck: true, types: [], target: ts.ScriptTarget.ES2023 },
    ...{ module: ts.ModuleKind.Node20, moduleResolution: ts.ModuleResolutionKind.Node16 },
  };
  const host = ts.createCompilerHost(options);
  const getSourceFile = host.getSourceFile.bind(host);
  host.getSourceFile = (name, version) =>
    name === file ? ts.createSourceFile(name, text, version) : getSourceFile(name, version);
  const program = ts.createProgram([file], options, host);
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

const copyOf = (manifest: Manifest) => structuredClone(manifest);

it('every name and type is one that Kubernetes knows, and a name that it does not know is refused', () => {
  const misspelt = copyOf(of('Deployment'));
  misspelt.spec.template.spec.containers[0].livenesProbe = {};
  const mistyped = copyOf(of('PodDisruptionBudget'));
  mistyped.spec.selector = 'amba';
  const missing = copyOf(of('HorizontalPodAutoscaler'));
  delete missing.spec.maxReplicas;
  const unknown = copyOf(of('ServiceMonitor'));
  unknown.spec.endpoints[0].prt = 'http';
  expect(faultsOf([...manifests, misspelt, mistyped, missing, unknown])).toEqual([
    expect.stringContaining(`'"livenesProbe"' does not exist in type 'IContainer'`),
    expect.stringContaining(`Type 'string' has no properties in common`),
    expect.stringContaining(`Property '"maxReplicas"' is missing`),
    expect.stringContaining(`'"prt"' does not exist`),
  ]);
});

it.each(
  manifests.map((manifest): [string, Manifest] => [`${manifest.kind} ${manifest.metadata.name}`, manifest]),
)('%s has values that its schema allows', (_, manifest) => {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- by a name that the manifest gives
  const models = require(packageOf(manifest.apiVersion)) as Record<string, new (data: Manifest) => any>;
  const Model = models[manifest.kind]!;
  expect(() => new Model(manifest).validate()).not.toThrow();
  expect(manifest.metadata.labels['app.kubernetes.io/name']).toBe('amba');
});

const podsOf = (kind: string) => of(kind).spec.template;
const server = () => podsOf('Deployment');

it.each(['Deployment', 'Job'])(
  'the pods of the %s meet the restricted Pod Security Standard, and write nothing',
  (kind) => {
    const { spec } = podsOf(kind);
    const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
    const [, uid, gid] = /^USER (\d+):(\d+)$/m.exec(dockerfile)!.map(Number);
    expect(spec).toMatchObject({
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      serviceAccountName: of('ServiceAccount').metadata.name,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: uid,
        runAsGroup: gid,
        seccompProfile: { type: 'RuntimeDefault' },
      },
    });
    expect(Object.keys(spec)).not.toEqual(expect.arrayContaining([expect.stringMatching(/^(host|volumes)/)]));
    expect(spec.containers).toHaveLength(1);
    expect(spec.containers[0]).toMatchObject({
      image: 'amba-referrals',
      resources: {
        requests: { cpu: expect.any(String), memory: expect.any(String) },
        limits: { memory: expect.any(String) },
      },
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
    });
  },
);

it.each(['Deployment', 'Job'])('the %s has settings that there are, and its secrets by reference', (kind) => {
  const [container] = podsOf(kind).spec.containers;
  const [settings] = kustomization.configMapGenerator as { name: string; literals: string[] }[];
  expect(container.envFrom).toEqual([
    { secretRef: { name: 'amba' } },
    { configMapRef: { name: settings?.name } },
  ]);
  expect(container.env).toBeUndefined();
  const given = Object.fromEntries(
    settings!.literals.map((literal) => literal.split('=') as [string, string]),
  );
  expect(Object.keys(Environment.shape)).toEqual(expect.arrayContaining(Object.keys(given)));
  expect(() => Environment.parse(given)).not.toThrow();
  expect(manifests.filter((manifest) => manifest.kind === 'Secret')).toEqual([]);
  expect(Object.keys(kustomization).sort()).toEqual([
    'apiVersion',
    'configMapGenerator',
    'kind',
    'resources',
  ]);
});

it('what the image runs is what the pods run, where the probes ask', () => {
  const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
  const [container] = server().spec.containers;
  expect(container.command).toBeUndefined();
  expect(container.ports).toEqual([
    { name: 'http', containerPort: Number(/PORT=(\d+)/.exec(dockerfile)?.[1]) },
  ]);
  for (const [probe, path] of Object.entries({ startup: 'live', liveness: 'live', readiness: 'ready' }))
    expect(container[`${probe}Probe`].httpGet).toEqual({ path: `/health/${path}`, port: 'http' });
  expect(podsOf('Job').spec.containers[0].command).toEqual(['node', 'dist/src/migrate.js']);
});

it('a pod has the time that its shutdown may take, and is replaced before it goes', () => {
  const [{ literals }] = kustomization.configMapGenerator;
  const drain = Number(
    literals.find((literal: string) => literal.startsWith('SHUTDOWN_DRAIN_S=')).split('=')[1],
  );
  const limit =
    /SHUTDOWN_LIMIT_MS = ([\d_]+)/.exec(readFileSync(join(ROOT, 'src/main.ts'), 'utf8'))?.[1] ?? '';
  expect(server().spec.terminationGracePeriodSeconds).toBeGreaterThan(
    drain + Number(limit.replace('_', '')) / 1000,
  );
  const { readinessProbe: ready } = server().spec.containers[0];
  // it is out of the Service by its readiness alone before it takes no connection any more
  expect(drain).toBeGreaterThan(ready.periodSeconds * ready.failureThreshold + ready.timeoutSeconds);
  expect(of('Deployment').spec.strategy).toEqual({ rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } });
});

it('whoever chooses pods chooses those of the server', () => {
  const labels = server().metadata.labels;
  expect(labels).toEqual({ 'app.kubernetes.io/name': 'amba', 'app.kubernetes.io/component': 'server' });
  const policies = manifests.filter(({ kind }) => kind === 'NetworkPolicy');
  const chosen = [
    of('Deployment').spec.selector.matchLabels,
    of('Service').spec.selector,
    of('PodDisruptionBudget').spec.selector.matchLabels,
    policies[1]?.spec.podSelector.matchLabels,
    ...server().spec.topologySpreadConstraints.map((constraint: any) => constraint.labelSelector.matchLabels),
  ];
  for (const selector of chosen) expect(selector).toEqual(labels);
  const both = policies[0]?.spec.podSelector.matchLabels;
  for (const kind of ['Deployment', 'Job']) expect(podsOf(kind).metadata.labels).toMatchObject(both);
  expect(podsOf('Job').metadata.labels).not.toMatchObject(labels);
  expect(of('HorizontalPodAutoscaler').spec.scaleTargetRef).toEqual({
    ...{ apiVersion: of('Deployment').apiVersion, kind: 'Deployment', name: of('Deployment').metadata.name },
  });
  expect(of('Deployment').spec.replicas).toBeUndefined();
  expect(of('HorizontalPodAutoscaler').spec.minReplicas).toBe(3);
  expect(of('Service').spec.ports).toEqual([{ name: 'http', port: 80, targetPort: 'http' }]);
  expect(policies[1]?.spec.ingress).toEqual([{ ports: [{ port: 'http', protocol: 'TCP' }] }]);
});

it('Prometheus finds the instances under the job that the alerts ask for', () => {
  const { spec } = of('ServiceMonitor');
  expect(of('Service').metadata.labels).toMatchObject(spec.selector.matchLabels);
  expect(spec.endpoints[0].port).toBe(of('Service').spec.ports[0].name);
  expect(Object.keys(Environment.shape)).toContain(spec.endpoints[0].authorization.credentials.key);
  expect(alerts).toContain(`job="${of('Service').metadata.name}"`);
  expect(of('PrometheusRule').spec).toEqual(parse(alerts));
});

it('docs/operations.md puts the alerts together as they are put together here', () => {
  const page = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8');
  const [, command = ''] = /^\((.*)\) \| kubectl --namespace amba apply -f -$/m.exec(page) ?? [];
  const made = execFileSync('sh', ['-c', command], { cwd: ROOT, encoding: 'utf8' });
  expect(parse(made)).toEqual(of('PrometheusRule'));
});
