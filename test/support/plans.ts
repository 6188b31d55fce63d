import { escapeLiteral } from 'pg';
import type { DataSource } from 'typeorm';
import type { Value } from '../../src/common/statements';

/** How PostgreSQL would run the statements of a request, and what of that would take longer with every row there is. */

/** They grow with the users of a project, and without end. */
const GROWING = new Set([
  ...['app_users', 'sessions', 'refresh_tokens', 'user_identities', 'referral_codes', 'referral_claims'],
  ...['claim_idempotency_keys', 'reward_grants', 'balances', 'currency_transactions', 'admin_grants'],
  ...['audit_log', 'analytics_referrers'],
]);
/** A batch of the sweeper has a hundred rows, the longest page two hundred. */
const MANY_ROWS = 1_000;
const IS_PLANNED = /^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b/i;

export interface Sent {
  text: string;
  values: (Value | undefined)[];
}

/** A node of a plan, as EXPLAIN names things. */
interface Node {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Cond'?: string;
  'Recheck Cond'?: string;
  'Plan Rows': number;
  Plans?: Node[];
}

/** What is sent to the database while `work` runs, each text once. */
export async function statementsOf(db: DataSource, work: () => PromiseLike<unknown>): Promise<Sent[]> {
  const sent = new Map<string, Sent>();
  const { logger } = db;
  const usual = logger.logQuery.bind(logger);
  logger.logQuery = (text, values = []) => {
    if (IS_PLANNED.test(text)) sent.set(text, { text, values: values as Sent['values'] });
  };
  try {
    await work();
  } finally {
    logger.logQuery = usual;
  }
  return [...sent.values()];
}

/** So often PostgreSQL plans a prepared statement for its values, before it may keep a plan for any. */
const CUSTOM_PLANS = 5;

/** What of a statement takes longer the more rows there are, as in `Seq Scan on app_users`. */
export async function growingParts(db: DataSource, sent: Sent): Promise<string[]> {
  const parts = (await plansOf(db, sent)).flatMap((plan) => growing(plan, false));
  return [...new Set(parts)];
}

/** How a page finds its place, as in `Index Only Scan on app_users`: what is read below a limit, whatever the values. */
export async function passedOver(db: DataSource, sent: Sent): Promise<string[]> {
  const parts = (await plansOf(db, sent, 'force_generic_plan')).flatMap(belowLimits);
  return [...new Set(parts)];
}

/** By default for these values, and what PostgreSQL settles on when the prepared statement is used again and again. */
async function plansOf(db: DataSource, { text, values }: Sent, mode = 'auto'): Promise<Node[]> {
  const queryRunner = db.createQueryRunner();
  const given = values.length > 0 ? `(${values.map(literal).join(', ')})` : '';
  const plans: Node[] = [];
  try {
    await queryRunner.query(`SET plan_cache_mode = ${mode}`);
    await queryRunner.query(`PREPARE looked_at AS ${text}`);
    for (let use = 0; use <= CUSTOM_PLANS; use += 1) {
      const [row] = (await queryRunner.query(`EXPLAIN (FORMAT JSON) EXECUTE looked_at ${given}`)) as [
        Explained,
      ];
      plans.push(row['QUERY PLAN'][0].Plan);
    }
  } finally {
    await queryRunner.query(`DEALLOCATE looked_at`);
    await queryRunner.query(`RESET plan_cache_mode`);
    await queryRunner.release();
  }
  return plans;
}

interface Explained {
  'QUERY PLAN': [{ Plan: Node }];
}

/** Of no type: PostgreSQL takes it for the parameter's. */
function literal(value: Value | undefined): string {
  if (value === null || value === undefined) return 'NULL';
  if (Buffer.isBuffer(value)) return `'\\x${value.toString('hex')}'`;
  if (value instanceof Date) return `'${value.toISOString()}'`;
  if (Array.isArray(value)) return escapeLiteral(`{${value.map((item) => JSON.stringify(item)).join(',')}}`);
  return escapeLiteral(String(value));
}

function belowLimits({ 'Node Type': type, Plans: below = [] }: Node): string[] {
  return below.flatMap(type === 'Limit' ? scans : belowLimits);
}

function scans({ 'Node Type': type, 'Relation Name': table, Plans: below = [] }: Node): string[] {
  return [...(table === undefined ? [] : [`${type} on ${table}`]), ...below.flatMap(scans)];
}

/** @param isStopped whether what is above takes only as many rows as it needs */
function growing(node: Node, isStopped: boolean): string[] {
  const type = node['Node Type'];
  const table = node['Relation Name'];
  const own =
    table !== undefined && GROWING.has(table) && grows(node, isStopped) ? [`${type} on ${table}`] : [];
  const stopsBelow = type === 'Limit' || (isStopped && PASSES_ON.has(type));
  return [...own, ...(node.Plans ?? []).flatMap((below) => growing(below, stopsBelow))];
}

/** They ask for a row when they are asked for one; others, as a sort, read all that there is before they give the first. */
const PASSES_ON = new Set(['LockRows', 'Nested Loop', 'Subquery Scan', 'Result', 'Append', 'ModifyTable']);

function grows(node: Node, isStopped: boolean): boolean {
  if (node['Node Type'] === 'Seq Scan') return true;
  // by the places of rows that were found already
  if (node['Node Type'] === 'Tid Scan') return false;
  return !isStopped && (node['Plan Rows'] > MANY_ROWS || isOfWholeProject(node));
}

/** An index that is read for a tenant as a whole: what it is read for is found by looking at each row. */
function isOfWholeProject(node: Node): boolean {
  const condition = node['Index Cond'] ?? node['Recheck Cond'];
  return node['Node Type'].includes('Scan') && !condition?.includes(' AND ');
}
