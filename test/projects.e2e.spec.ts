import { generateApiKey } from '../src/auth/api-key';
import { tally, useWorld, type TestDeveloper } from './support/world';

const world = useWorld();

let ada: TestDeveloper;
let grace: TestDeveloper;

beforeEach(async () => {
  ada = await world.developer();
  grace = await world.developer();
});

const admin = (path = '') => `/v1/admin/projects${path}`;

async function make(body: object = { name: 'My game' }, by = ada) {
  return (await world.http.post(admin()).set(by.headers).send(body).expect(201)).body.data;
}

async function auditLog(projectId: string, query = '') {
  const { body } = await world.http
    .get(admin(`/${projectId}/audit-log${query}`))
    .set(ada.headers)
    .expect(200);
  return body.data;
}

describe('a project', () => {
  it('is made with its settings and with keys that work', async () => {
    const settings = {
      ...{ name: 'My game', bundle_id: 'com.example.game', platform: 'ios' },
      ...{ referral_code_length: 6, max_claims_per_user: 3 },
    };
    const { project, api_keys } = await make({ ...settings, environment: 'production' });
    expect(project).toEqual({
      ...settings,
      ...{ id: expect.any(String), created_at: expect.any(String), updated_at: expect.any(String) },
    });
    expect([api_keys.client.slice(0, 12), api_keys.server.slice(0, 12)]).toEqual([
      'amb_live_ck_',
      'amb_live_sk_',
    ]);
    await world.http.get('/v1/client/config').set({ 'x-api-key': api_keys.client }).expect(200);
    const read = await world.http
      .get(admin(`/${project.id}`))
      .set({ authorization: `Bearer ${api_keys.server}` })
      .expect(200);
    expect(read.body.data).toEqual(project);
  });

  it('has defaults for all but its name', async () => {
    const { project, api_keys } = await make();
    expect(project).toMatchObject({
      ...{ bundle_id: null, platform: null, referral_code_length: 8, max_claims_per_user: null },
    });
    expect(api_keys.client).toMatch(/^amb_dev_ck_/);
  });

  it.each([
    [{}, 'name'],
    [{ name: '' }, 'name'],
    [{ name: 'x'.repeat(101) }, 'name'],
    [{ name: null }, 'name'],
    [{ name: 'Game', bundle_id: '' }, 'bundle_id'],
    [{ name: 'Game', platform: 'x'.repeat(51) }, 'platform'],
    [{ name: 'Game', referral_code_length: 5 }, 'referral_code_length'],
    [{ name: 'Game', referral_code_length: 17 }, 'referral_code_length'],
    [{ name: 'Game', referral_code_length: null }, 'referral_code_length'],
    [{ name: 'Game', max_claims_per_user: 0 }, 'max_claims_per_user'],
    [{ name: 'Game', max_claims_per_user: 2 ** 31 }, 'max_claims_per_user'],
    [{ name: 'Game', environment: 'staging' }, 'environment'],
    [{ name: 'Game', owner_id: 'me' }, 'owner_id'],
  ])('is not made of %j', async (body, field) => {
    const answer = await world.http.post(admin()).set(ada.headers).send(body).expect(400);
    expect(answer.body.error.details).toEqual([{ field, message: expect.any(String) }]);
  });

  it('is listed for its owner only, oldest first, in pages', async () => {
    const names = ['one', 'two', 'three'];
    for (const name of names) await make({ name });
    await make({ name: 'hers' }, grace);
    const all = (await world.http.get(admin()).set(ada.headers).expect(200)).body;
    expect([all.total, all.data.map((row: { name: string }) => row.name)]).toEqual([3, names]);
    const page = (await world.http.get(admin('?limit=1&offset=1')).set(ada.headers).expect(200)).body;
    expect(page).toEqual({ data: [all.data[1]], total: 3, limit: 1, offset: 1 });
  });

  it('changes what is named and nothing else; null takes a limit away', async () => {
    const { project } = await make({ name: 'One', bundle_id: 'com.example.one', max_claims_per_user: 1 });
    const change = (body: object) =>
      world.http
        .patch(admin(`/${project.id}`))
        .set(ada.headers)
        .send(body)
        .expect(200);
    const { data } = (await change({ name: 'Two', max_claims_per_user: null })).body;
    expect(data).toEqual({
      ...project,
      ...{ name: 'Two', max_claims_per_user: null, updated_at: expect.any(String) },
    });
    expect((await change({})).body.data).toMatchObject({ name: 'Two', bundle_id: 'com.example.one' });
  });

  it('is gone when it is deleted: its keys stop at once, its owner hears 404, its rows stay', async () => {
    const { project, api_keys } = await make();
    const address = admin(`/${project.id}`);
    await world.http.delete(address).set(ada.headers).expect(200);
    const server = { authorization: `Bearer ${api_keys.server}` };
    expect(
      tally([
        await world.http.get('/v1/client/config').set({ 'x-api-key': api_keys.client }),
        await world.http.get(address).set(server),
        await world.http.get(address).set(ada.headers),
        await world.http.delete(address).set(ada.headers),
        await world.http.get(address).set(grace.headers),
      ]),
    ).toEqual({
      ...{ '401 INVALID_API_KEY': 1, '401 INVALID_TOKEN': 1, '404 NOT_FOUND': 2, '403 PROJECT_FORBIDDEN': 1 },
    });
    expect((await world.http.get(admin()).set(ada.headers)).body.total).toBe(0);
    const rows = await world.db.query('SELECT deleted_at FROM projects WHERE id = $1', [project.id]);
    expect(rows).toEqual([{ deleted_at: expect.any(Date) }]);
  });
});

describe('an API key', () => {
  it.each([
    ['client', 'development', 'amb_dev_ck_'],
    ['client', 'production', 'amb_live_ck_'],
    ['server', 'development', 'amb_dev_sk_'],
    ['server', 'production', 'amb_live_sk_'],
  ])(
    'of type %s for %s begins with its kind, works, and is stored as a digest',
    async (key_type, environment, kind) => {
      const { project } = await make();
      const { body } = await world.http
        .post(admin(`/${project.id}/api-keys`))
        .set(ada.headers)
        .send({ key_type, environment })
        .expect(201);
      const { key, ...shown } = body.data;
      expect(key.startsWith(kind)).toBe(true);
      expect(shown).toEqual({
        ...{ id: expect.any(String), key_type, environment, prefix: key.slice(0, 16) },
        ...{ is_active: true, last_used_at: null, created_at: expect.any(String) },
      });
      const use =
        key_type === 'client'
          ? world.http.get('/v1/client/config').set({ 'x-api-key': key })
          : world.http.get(admin(`/${project.id}`)).set({ authorization: `Bearer ${key}` });
      await use.expect(200);
      const [{ row }] = await world.db.query(
        'SELECT row_to_json(k)::text AS row FROM api_keys k WHERE id = $1',
        [shown.id],
      );
      expect(row).not.toContain(key.slice(17));
    },
  );

  it('is listed without itself, with its last use', async () => {
    const { project, api_keys } = await make();
    const list = async () =>
      (
        await world.http
          .get(admin(`/${project.id}/api-keys`))
          .set(ada.headers)
          .expect(200)
      ).body;
    expect((await list()).data.map((row: any) => row.last_used_at)).toEqual([null, null]);
    await world.http.get('/v1/client/config').set({ 'x-api-key': api_keys.client }).expect(200);
    const { data, total } = await list();
    expect(total).toBe(2);
    const used = Object.fromEntries(data.map((row: any) => [row.key_type, row.last_used_at]));
    expect(used).toEqual({ client: expect.any(String), server: null });
    expect(Date.now() - Date.parse(used.client)).toBeLessThan(60_000);
    await world.http.get('/v1/client/config').set({ 'x-api-key': api_keys.client });
    expect((await list()).data).toEqual(data);
    expect(JSON.stringify(data)).not.toContain(api_keys.client.slice(17));
  });

  it('stops at once when it is deactivated, stays in the list, and its sisters go on', async () => {
    const { project, api_keys } = await make();
    const keys = admin(`/${project.id}/api-keys`);
    const { data } = (await world.http.get(keys).set(ada.headers)).body;
    const { id } = data.find((row: any) => row.key_type === 'client');
    const first = await world.http.delete(`${keys}/${id}`).set(ada.headers).expect(200);
    expect(first.body.data).toMatchObject({ id, is_active: false });
    await world.http.delete(`${keys}/${id}`).set(ada.headers).expect(200, first.body);
    expect(tally([await world.http.get('/v1/client/config').set({ 'x-api-key': api_keys.client })])).toEqual({
      '401 INVALID_API_KEY': 1,
    });
    await world.http
      .get(keys)
      .set({ authorization: `Bearer ${api_keys.server}` })
      .expect(200);
  });

  it('is not found under another project, nor by an id that is none', async () => {
    const { project } = await make();
    const other = await make();
    const { data } = (await world.http.get(admin(`/${other.project.id}/api-keys`)).set(ada.headers)).body;
    const ids = [data[0].id, 'no-uuid', "1'--"];
    const answers = [];
    for (const id of ids)
      answers.push(
        await world.http.delete(admin(`/${project.id}/api-keys/${encodeURIComponent(id)}`)).set(ada.headers),
      );
    expect(tally(answers)).toEqual({ '404 NOT_FOUND': 3 });
    await world.http.get('/v1/client/config').set({ 'x-api-key': other.api_keys.client }).expect(200);
  });
});

describe('the audit log', () => {
  it('tells of every write: who, from where, what, before and after, and no secret', async () => {
    const { project, api_keys } = await make();
    const address = admin(`/${project.id}`);
    const server = { authorization: `Bearer ${api_keys.server}`, 'x-request-id': 'my-request' };
    await world.http.patch(address).set(server).send({ name: 'Two' }).expect(200);
    const made = (
      await world.http
        .post(`${address}/api-keys`)
        .set(ada.headers)
        .send({ key_type: 'server', environment: 'production' })
    ).body.data;
    await world.http.delete(`${address}/api-keys/${made.id}`).set(ada.headers).expect(200);

    const log = await auditLog(project.id);
    expect(log.map((line: any) => [line.action, line.actor_kind, line.target_id])).toEqual([
      ['api_key.deactivate', 'personal_access_token', made.id],
      ['api_key.create', 'personal_access_token', made.id],
      ['project.update', 'server_key', project.id],
      ['project.create', 'personal_access_token', project.id],
    ]);
    expect(log[2]).toEqual({
      ...{ id: expect.any(String), created_at: expect.any(String), action: 'project.update' },
      ...{ actor_kind: 'server_key', actor_id: expect.any(String), actor_name: api_keys.server.slice(0, 16) },
      ...{ address: '127.0.0.1', request_id: 'my-request', target_id: project.id },
      before: project,
      after: { ...project, name: 'Two', updated_at: expect.any(String) },
    });
    expect(log[3]).toMatchObject({ actor_id: ada.id, actor_name: ada.email, before: null });
    for (const secret of [api_keys.client, api_keys.server, made.key])
      expect(JSON.stringify(log)).not.toContain(secret.slice(17));
  });

  it('is filtered by action and by target, and paged', async () => {
    const { project } = await make();
    for (const name of ['Two', 'Three'])
      await world.http
        .patch(admin(`/${project.id}`))
        .set(ada.headers)
        .send({ name });
    expect(
      (await auditLog(project.id, '?action=project.update')).map((line: any) => line.after.name),
    ).toEqual(['Three', 'Two']);
    expect(await auditLog(project.id, `?target_id=${project.id}&limit=1&offset=2`)).toMatchObject([
      { action: 'project.create' },
    ]);
    expect(await auditLog(project.id, '?target_id=nothing')).toEqual([]);
  });

  it('has no line for what was refused, and cannot be changed', async () => {
    const { project } = await make();
    await world.http
      .patch(admin(`/${project.id}`))
      .set(ada.headers)
      .send({ name: '' })
      .expect(400);
    expect(await auditLog(project.id)).toHaveLength(1);
    for (const table of ['audit_log', 'developer_audit_log']) {
      for (const sql of [
        `UPDATE ${table} SET actor_name = 'nobody'`,
        `DELETE FROM ${table}`,
        `TRUNCATE ${table}`,
      ])
        await expect(world.db.query(sql)).rejects.toThrow(`${table} is append-only`);
    }
  });

  it('stands or falls with its effect', async () => {
    const { project } = await make();
    await world.db.query(`ALTER TABLE audit_log RENAME TO away`);
    try {
      await world.http
        .patch(admin(`/${project.id}`))
        .set(ada.headers)
        .send({ name: 'Two' })
        .expect(500);
    } finally {
      await world.db.query(`ALTER TABLE away RENAME TO audit_log`);
    }
    const { body } = await world.http
      .get(admin(`/${project.id}`))
      .set(ada.headers)
      .expect(200);
    expect(body.data).toEqual(project);
  });
});

it('a key that was never made is unknown on both planes', async () => {
  const { project } = await make();
  const key = generateApiKey('server', 'development');
  expect(
    tally([
      await world.http.get(admin(`/${project.id}`)).set({ authorization: `Bearer ${key}` }),
      await world.http.get('/v1/client/config').set({ 'x-api-key': key }),
    ]),
  ).toEqual({ '401 INVALID_TOKEN': 1, '401 INVALID_API_KEY': 1 });
});
