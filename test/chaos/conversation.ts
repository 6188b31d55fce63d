import { strings, type Message } from './wire';

/** Where a transaction can be struck. What is `before` is held on its way to the server, what is `after` on its way back. */
export const POINTS = [
  'at BEGIN',
  'at the lock on the code',
  'at the locks on the balances',
  'claim before its write',
  'claim before COMMIT',
  'claim after COMMIT',
  'grant before its first write',
  'grant inside',
  'grant before COMMIT',
  'grant after COMMIT',
  'after a grant',
  'admin grant before COMMIT',
  'admin grant after COMMIT',
] as const;
export type Point = (typeof POINTS)[number];

const BEGINS = /(^|;)\s*(begin|start\s+transaction)\b/i;
const COMMITS = /(^|;)\s*commit\b/i;
const ROLLS_BACK = /(^|;)\s*rollback\b(?!\s+to\b)/i;
const LOCKS_CODE = /\breferral_codes\b.*\bfor\s+(no\s+key\s+)?update\b/is;
const LOCKS_BALANCES = /\bbalances\b.*\bfor\s+(no\s+key\s+)?update\b/is;
const CLAIMS = /\binsert\s+into\s+"?referral_claims\b/i;
const GRANTS_BY_HAND = /\binsert\s+into\s+"?admin_grants\b/i;
const MOVES_MONEY = /\b(insert\s+into\s+"?currency_transactions|update\s+"?balances)\b/i;
/** As it stands in an error. Its SQLSTATE, 57014, is also that of a statement that took too long. */
const CANCELLED = 'Mcanceling statement due to user request\0';

interface Transaction {
  /** Opened by BEGIN; otherwise it ends with its statement. */
  isExplicit: boolean;
  claims: boolean;
  grantsByHand: boolean;
  movesMoney: boolean;
  /** What became of the first write of money, once it is answered. */
  moved?: 'done' | 'failed';
  /** Something was sent after that. */
  wentOn: boolean;
}

/** What the client has asked and the server not yet answered. */
interface Request {
  kind: 'simple' | 'execute' | 'sync';
  transaction: Transaction;
  movesMoney: boolean;
  commits: boolean;
  failed: boolean;
}

/**
 * Listens to one connection and knows which transaction it is in, by the tables that are written and by COMMIT: not by
 * exact statements or their number, so that it also understands statements that are merged, prepared or pipelined.
 */
export class Conversation {
  /** The process that serves this connection. */
  backendPid?: number;
  /** Statements that were cancelled. */
  cancelled = 0;
  private readonly statements = new Map<string, string>();
  private readonly portals = new Map<string, string>();
  private readonly requests: Request[] = [];
  private transaction = newTransaction();
  /** The one that stood at `grant inside` last. */
  private inside?: Transaction;

  /** The server owes an answer. */
  get isBusy(): boolean {
    return this.requests.length > 0;
  }

  /** What became of the write of whoever stood at `grant inside` last; undefined while that is under way. */
  get written(): 'done' | 'failed' | undefined {
    return this.inside?.moved;
  }

  /** The points that this message of the client stands at, before it is passed on. */
  ask({ type, body }: Message): Point[] {
    switch (type) {
      case 'P': {
        const [name = '', sql = ''] = strings(body, 2);
        this.statements.set(name, sql);
        return [];
      }
      case 'B': {
        const [portal = '', statement = ''] = strings(body, 2);
        this.portals.set(portal, this.statements.get(statement) ?? '');
        return [];
      }
      case 'E':
        return this.run(this.portals.get(strings(body, 1)[0] ?? '') ?? '', 'execute');
      case 'Q':
        return this.run(strings(body, 1)[0] ?? '', 'simple');
      case 'S':
        return this.sync();
      default:
        return [];
    }
  }

  /** The points that this message of the server stands at, before it is passed on. */
  answer({ type, body }: Message): Point[] {
    switch (type) {
      case 'K':
        this.backendPid = body.readUInt32BE(0);
        return [];
      case 'C':
        return this.complete(strings(body, 1)[0] ?? '');
      case 'I':
      case 's':
        return this.complete('');
      case 'E':
        this.fail(body);
        return [];
      case 'Z':
        return this.ready();
      default:
        return [];
    }
  }

  private run(sql: string, kind: 'simple' | 'execute'): Point[] {
    const { transaction } = this;
    const points: Point[] = [...this.goOn(), ...locksIn(sql)];
    const movesMoney = MOVES_MONEY.test(sql);
    const isFirstWrite = movesMoney && !transaction.movesMoney;
    if (BEGINS.test(sql)) points.push('at BEGIN');
    if (CLAIMS.test(sql)) points.push('claim before its write');
    transaction.isExplicit ||= BEGINS.test(sql);
    transaction.claims ||= CLAIMS.test(sql);
    transaction.grantsByHand ||= GRANTS_BY_HAND.test(sql);
    transaction.movesMoney ||= movesMoney;
    const subject = subjectOf(transaction);
    if (isFirstWrite && subject === 'grant') points.push('grant before its first write');

    const commits = transaction.isExplicit ? COMMITS.test(sql) : kind === 'simple';
    if (commits && subject) points.push(`${subject} before COMMIT`);
    this.requests.push({ kind, transaction, movesMoney, commits, failed: false });
    if (commits || ROLLS_BACK.test(sql)) this.transaction = newTransaction();
    return points;
  }

  /** What a grant sends after its first write. */
  private goOn(): Point[] {
    const { transaction } = this;
    if (subjectOf(transaction) !== 'grant' || transaction.wentOn) return [];
    transaction.wentOn = true;
    this.inside = transaction;
    return ['grant inside'];
  }

  /** Ends a transaction that no BEGIN opened. */
  private sync(): Point[] {
    const { transaction } = this;
    const commits = !transaction.isExplicit;
    const subject = subjectOf(transaction);
    this.requests.push({ kind: 'sync', transaction, movesMoney: false, commits, failed: false });
    if (commits) this.transaction = newTransaction();
    return commits && subject ? [`${subject} before COMMIT`] : [];
  }

  private complete(tag: string): Point[] {
    const request = this.requests[0];
    if (request === undefined) return [];
    const points: Point[] = [];
    const { transaction } = request;
    if (request.movesMoney) transaction.moved ??= 'done';
    if (transaction.isExplicit && request.commits && tag === 'COMMIT') points.push(...committed(transaction));
    if (request.kind === 'execute') this.requests.shift();
    return points;
  }

  /** After an error the server passes over everything up to the next sync. */
  private fail(error: Buffer): void {
    if (error.includes(CANCELLED)) this.cancelled += 1;
    while (this.requests[0]?.kind === 'execute') failed(this.requests.shift());
    failed(this.requests[0]);
  }

  private ready(): Point[] {
    const request = this.requests.shift();
    if (!request?.commits || request.failed || request.transaction.isExplicit) return [];
    return committed(request.transaction);
  }
}

function newTransaction(): Transaction {
  return { isExplicit: false, claims: false, grantsByHand: false, movesMoney: false, wentOn: false };
}

function failed(request: Request | undefined): void {
  if (request === undefined) return;
  request.failed = true;
  if (request.movesMoney) request.transaction.moved ??= 'failed';
}

function locksIn(sql: string): Point[] {
  if (LOCKS_CODE.test(sql)) return ['at the lock on the code'];
  return LOCKS_BALANCES.test(sql) ? ['at the locks on the balances'] : [];
}

function subjectOf(transaction: Transaction): 'claim' | 'admin grant' | 'grant' | undefined {
  if (transaction.claims) return 'claim';
  if (transaction.grantsByHand) return 'admin grant';
  return transaction.movesMoney ? 'grant' : undefined;
}

function committed(transaction: Transaction): Point[] {
  const subject = subjectOf(transaction);
  if (subject === undefined) return [];
  return [`${subject} after COMMIT`, ...(subject === 'grant' ? (['after a grant'] as const) : [])];
}
