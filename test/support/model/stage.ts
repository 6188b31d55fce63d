import type { Response } from 'supertest';
import { IntegrityService } from '../../../src/integrity/integrity.service';
import { PaymentsService } from '../../../src/rewards/payments.service';
import { signSessionToken } from '../../../src/auth/session-token';
import type { Method, Tenant, World } from '../world';
import type { Answer } from './answer';
import { USERS, type Promised, type UserName } from './bank';
import type { Coverage } from './coverage';
import type { CodeName, Model, Typing } from './model';

/** Longer than any wait between two tries. */
const NEXT_TRY_MS = 10 * 60 * 60 * 1000;

/** The app, its users and what it offers, in one statement: over HTTP the set-up would take half of the run. */
const SET_UP = `
  WITH users AS (
    INSERT INTO app_users (project_id, external_id, display_name)
    SELECT $1::uuid, name, name FROM unnest($2::text[]) AS name RETURNING id, external_id
  ), opened AS (
    INSERT INTO sessions (project_id, user_id) SELECT $1, id FROM users RETURNING id, user_id
  ), offered AS (
    INSERT INTO currencies (project_id, code, name, max_balance, initial_balance, deleted_at)
    SELECT $1, code, code, coalesce(max_balance, ${Number.MAX_SAFE_INTEGER}), initial_balance, deleted_at
      FROM json_populate_recordset(NULL::currencies, $3) RETURNING id, code
  ), made AS (
    INSERT INTO referral_codes (project_id, user_id, code, reward_referrer, reward_referee, created_at)
    SELECT $1, u.id, upper(c.name), c.reward_referrer, c.reward_referee, now() + c.place * interval '1 microsecond'
      FROM json_to_recordset($4) AS c (place int, name text, reward_referrer json, reward_referee json)
      LEFT JOIN users u ON u.external_id = c.name RETURNING id, code
  )
  SELECT 'user' AS kind, u.external_id AS name, u.id, o.id AS session_id
    FROM users u JOIN opened o ON o.user_id = u.id
   UNION ALL SELECT 'currency', code, id, NULL FROM offered
   UNION ALL SELECT 'code', c.name, m.id, NULL
    FROM made m JOIN json_to_recordset($4) AS c (name text) ON upper(c.name) = m.code`;

/** The rewards that were paid, in the order of the ledger. */
const PAID = `
  SELECT coalesce(json_agg(json_build_object('claim', t.reference_id, 'user', t.user_id, 'currency', c.code) ORDER BY t.seq), '[]')
    FROM currency_transactions t JOIN currencies c ON c.project_id = t.project_id AND c.id = t.currency_id
   WHERE t.project_id = $1 AND t.source = 'referral'`;

export interface Paid {
  claim: string;
  user: string;
  currency: string;
}

interface Row {
  kind: 'user' | 'currency' | 'code';
  name: string;
  id: string;
  session_id: string;
}

/** An app of its own on the server, in which everything is called as in the model. */
export class Stage {
  private readonly idByName = new Map<string, string>();
  private readonly nameById = new Map<string, string>();
  private readonly tokens = new Map<UserName, string>();
  private now = Date.now();

  private constructor(
    private readonly world: World,
    private readonly tenant: Tenant,
    readonly coverage: Coverage,
  ) {}

  /** With what the model begins with. */
  static async set(world: World, model: Model, coverage: Coverage): Promise<Stage> {
    const stage = new Stage(world, await world.tenant(), coverage);
    const { currencies } = model.bank;
    const offered = [...currencies].map(([code, { max, initial, deleted }]) => ({
      ...{ code, max_balance: max, initial_balance: initial, deleted_at: deleted ? new Date() : null },
    }));
    const codes = [...model.codes.values()].map((code, place) => ({ place, ...code }));
    const rows = await world.db.query<Row[]>(SET_UP, [
      ...[stage.tenant.id, USERS, JSON.stringify(offered), JSON.stringify(codes)],
    ]);
    for (const { kind, name, id, session_id: sessionId } of rows) {
      if (kind === 'user') stage.signIn(name as UserName, { userId: id, sessionId });
      if (kind === 'code') stage.name(`spelling of ${name}`, name.toUpperCase());
      stage.name(kind === 'user' ? name : `${kind} ${name}`, id);
    }
    return stage;
  }

  /** As a user of the app. */
  client(user: UserName, method: Method, path: string) {
    const authorization = `Bearer ${this.tokens.get(user)}`;
    return this.world.http[method](`/v1/client/${path}`).set({
      ...{ 'x-api-key': this.tenant.clientKey, authorization },
    });
  }

  /** As a server of the app. */
  admin(method: Method, path = '') {
    return this.world.http[method](`/v1/admin/projects/${this.tenant.id}${path}`).set(this.tenant.server);
  }

  /** The operator's list of what was promised, all of it. */
  promises(claim?: string) {
    const query = { limit: 200, ...(claim !== undefined && { claim_id: this.id(claim) }) };
    return this.admin('get', '/reward-grants').query(query);
  }

  async promiseId(promise: Promised): Promise<string> {
    const name = nameOf(promise.claim, promise.side, promise.currency);
    if (!this.idByName.has(name)) {
      const { body } = await this.promises(promise.claim).expect(200);
      for (const { id, side, currency_code } of body.data)
        this.name(nameOf(promise.claim, side, currency_code), id);
    }
    return this.id(name);
  }

  /** As a user may type a code; a code that is not there yet is typed by its name. */
  spelling(code: CodeName, typing: Typing): string {
    const spelling = this.idByName.get(`spelling of ${code}`) ?? `NO-${code}`;
    if (typing === 'lower case') return spelling.toLowerCase();
    return typing === 'spaced' ? ` ${spelling.slice(0, 3)}-${spelling.slice(3)} ` : spelling;
  }

  id(name: string): string {
    const id = this.idByName.get(name);
    if (id === undefined) throw new Error(`The server never told the id of ${name}`);
    return id;
  }

  /** The body of an answer, with names in the place of the ids that have one. */
  named(response: Pick<Response, 'text'>): any {
    return JSON.parse(response.text, (_, value) => this.nameById.get(value) ?? value);
  }

  /** What was just made gets the name that it has in the model. */
  learn({ status, data }: Answer, { status: actual, body }: Response): void {
    if (status !== 201 || actual !== 201) return;
    const { id, code } = data as { id?: string; code?: string };
    if (id !== undefined && !this.idByName.has(id)) this.name(id, body.data.id);
    if (code?.startsWith('spelling')) this.name(code, body.data.code);
  }

  /** Lets the sweeper try everything that is pending, so many times. */
  async sweep(times: number): Promise<void> {
    const payments = this.world.app.get(PaymentsService);
    for (let time = 0; time < times; time += 1) {
      this.now += NEXT_TRY_MS;
      while (await payments.payDue(new Date(this.now)));
    }
  }

  /** All rows of the app that the model knows of, in names. */
  async rows(sql: string): Promise<any> {
    const [{ rows }] = await this.world.db.query<[{ rows: string }]>(`SELECT (${sql})::text AS rows`, [
      this.tenant.id,
    ]);
    return this.named({ text: rows });
  }

  paid(): Promise<Paid[]> {
    return this.rows(PAID);
  }

  async brokenInvariants(): Promise<object[]> {
    const { invariants } = await this.world.app.get(IntegrityService).check(this.tenant.id);
    return invariants.filter(({ ok }) => !ok).map(({ name, rows }) => ({ name, rows }));
  }

  /** Leaves nothing for the sweeps of the sequences that follow. */
  async leave(): Promise<void> {
    await this.world.db.query(
      `UPDATE reward_grants SET next_attempt_at = 'infinity' WHERE project_id = $1 AND status = 'pending'`,
      [this.tenant.id],
    );
  }

  private name(name: string, id: string): void {
    this.idByName.set(name, id);
    this.nameById.set(id, name);
  }

  private signIn(name: UserName, session: { userId: string; sessionId: string }): void {
    const { sessionSecrets, sessionTtlS } = this.world.config;
    const claims = { ...session, projectId: this.tenant.id, anonymous: false };
    this.tokens.set(name, signSessionToken(claims, sessionSecrets[0], sessionTtlS).token);
  }
}

function nameOf(claim: string, side: string, currency: string): string {
  return `${currency} to the ${side} of ${claim}`;
}
