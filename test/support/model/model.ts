import { created, ok, refused, replayed, type Answer, type Refusal } from './answer';
import { Bank, rewardJson, type Promised, type Reward, type UserName } from './bank';

/** A user's own code goes by the name of its owner; the others have no owner. */
export type CodeName = UserName | 'TEMPLATE' | 'PROMO';
export type Typing = 'as it is' | 'lower case' | 'spaced';

export interface User {
  state: 'active' | 'disabled' | 'erased';
  keys: Map<string, { body: string; claim: Claim }>;
}

export interface CodeRules {
  reward_referrer: Reward;
  reward_referee: Reward;
  max_uses: number | null;
}

export type CodeChanges = Partial<CodeRules> & { is_active?: boolean };

export interface Code extends CodeRules {
  name: CodeName;
  owner: UserName | null;
  uses: number;
  active: boolean;
  deleted: boolean;
}

export interface Claim {
  name: string;
  request: ClaimRequest;
  referrer: UserName | null;
}

export interface ClaimRequest {
  user: UserName;
  code: CodeName;
  typing: Typing;
  key?: string;
}

/**
 * The program as the contract has it, small enough to be read in one go: what each request is answered with, and what
 * is then. It uses nothing of the product, and knows no ids: users, codes and claims have names.
 */
export class Model {
  readonly bank = new Bank();
  readonly users = new Map<UserName, User>();
  /** In the order in which they were made. */
  readonly codes = new Map<CodeName, Code>();
  readonly claims: Claim[] = [];
  claimLimit: number | null = null;

  myCode(user: UserName): Answer {
    if (!this.isActive(user)) return refused('INVALID_TOKEN');
    const existing = this.codes.get(user);
    if (existing) return ok(codeJson(existing));
    const template = [...this.codes.values()].find((code) => code.owner === null && isOpen(code));
    const { reward_referrer = {}, reward_referee = {} } = template ?? {};
    return created(
      codeJson(this.addCode(user, { reward_referrer, reward_referee, max_uses: null })),
      template ? [`from ${template.name}`] : ['without template'],
    );
  }

  claim(request: ClaimRequest): Answer {
    const { user, code: name, typing, key } = request;
    if (!this.isActive(user)) return refused('INVALID_TOKEN');
    const body = `${name} ${typing}`;
    const earlier = key === undefined ? undefined : this.user(user).keys.get(key);
    if (earlier) {
      return earlier.body === body
        ? replayed(this.claimJson(earlier.claim))
        : refused('IDEMPOTENCY_MISMATCH');
    }
    const code = this.codes.get(name);
    const existing = this.claimsOf(user).find((claim) => claim.request.code === name);
    const refusal = this.refusal(user, code, existing !== undefined);
    if (refusal === 'ALREADY_CLAIMED' && existing)
      return refused(refusal, { claim: this.claimJson(existing) });
    if (refusal || code === undefined) return refused(refusal ?? 'INVALID_CODE');
    const claim = this.addClaim(code, request);
    if (key !== undefined) this.user(user).keys.set(key, { body, claim });
    return created(this.claimJson(claim), this.kindsOf(claim));
  }

  createCode(name: CodeName, rules: CodeRules): Answer {
    if (!this.bank.knows(rules.reward_referrer) || !this.bank.knows(rules.reward_referee)) {
      return refused('INVALID_REWARD');
    }
    if (this.users.get(name as UserName)?.state === 'erased') return refused('USER_ERASED');
    if (this.codes.has(name)) return refused('CODE_EXISTS');
    return created(codeJson(this.addCode(name, rules)));
  }

  changeCode(name: CodeName, changes: CodeChanges): Answer {
    const { is_active, ...rules } = changes;
    if (![rules.reward_referrer, rules.reward_referee].every((reward) => this.bank.knows(reward ?? {}))) {
      return refused('INVALID_REWARD');
    }
    const code = this.code(name);
    if (code.deleted) return refused('NOT_FOUND');
    if (rules.max_uses != null && rules.max_uses < code.uses) {
      return refused('MAX_USES_TOO_LOW', { current_uses: code.uses });
    }
    Object.assign(code, rules, { active: is_active ?? code.active });
    return ok(codeJson(code));
  }

  deleteCode(name: CodeName): Answer {
    const code = this.code(name);
    if (code.deleted) return refused('NOT_FOUND');
    Object.assign(code, { active: false, deleted: true });
    return ok(codeJson(code));
  }

  codeList(): Answer {
    const codes = [...this.codes.values()].filter(({ deleted }) => !deleted).reverse();
    return { ...ok(codes.map(codeJson)), total: codes.length };
  }

  disable(name: UserName): Answer {
    const user = this.user(name);
    if (user.state === 'active') user.state = 'disabled';
    return ok({ id: name, disabled_at: expect.any(String) });
  }

  enable(name: UserName): Answer {
    const user = this.user(name);
    if (user.state === 'erased') return refused('USER_ERASED');
    const before = user.state;
    user.state = 'active';
    return ok({ id: name, disabled_at: null, erased_at: null }, [`was ${before}`]);
  }

  erase(name: UserName): Answer {
    const user = this.user(name);
    if (user.state === 'erased') return refused('USER_ERASED');
    user.state = 'erased';
    user.keys.clear();
    const code = this.codes.get(name);
    if (code) Object.assign(code, { active: false, deleted: true });
    return ok({ user: { id: name, erased_at: expect.any(String) } });
  }

  limitClaims(limit: number | null): Answer {
    this.claimLimit = limit;
    return ok({ max_claims_per_user: limit });
  }

  user(name: UserName): User {
    const user = this.users.get(name);
    if (user === undefined) throw new Error(`The model has no user ${name}`);
    return user;
  }

  code(name: CodeName): Code {
    const code = this.codes.get(name);
    if (code === undefined) throw new Error(`The model has no code ${name}`);
    return code;
  }

  promisesOf(claim: string): Promised[] {
    return this.bank.promises.filter((promise) => promise.claim === claim);
  }

  addCode(name: CodeName, rules: CodeRules): Code {
    const owner = this.users.has(name as UserName) ? (name as UserName) : null;
    const code: Code = { name, owner, ...rules, uses: 0, active: true, deleted: false };
    this.codes.set(name, code);
    return code;
  }

  private isActive(user: UserName): boolean {
    return this.user(user).state === 'active';
  }

  /** In the order of the contract. */
  private refusal(user: UserName, code: Code | undefined, isRepeated: boolean): Refusal | undefined {
    if (code === undefined || !isOpen(code)) return 'INVALID_CODE';
    if (code.owner !== null && !this.isActive(code.owner)) return 'INVALID_CODE';
    if (code.owner === user) return 'SELF_REFERRAL';
    if (isRepeated) return 'ALREADY_CLAIMED';
    if (code.max_uses !== null && code.uses >= code.max_uses) return 'MAX_USES_REACHED';
    if (this.claimLimit !== null && this.claimsOf(user).length >= this.claimLimit)
      return 'CLAIM_LIMIT_REACHED';
    return undefined;
  }

  private claimsOf(user: UserName): Claim[] {
    return this.claims.filter(({ request }) => request.user === user);
  }

  private addClaim(code: Code, request: ClaimRequest): Claim {
    const name = `claim ${this.claims.length + 1}`;
    const claim = { name, request, referrer: code.owner };
    this.claims.push(claim);
    code.uses += 1;
    if (code.owner) this.bank.promise(name, 'referrer', code.owner, code.reward_referrer);
    this.bank.promise(name, 'referee', request.user, code.reward_referee);
    this.bank.pay(this.promisesOf(name));
    return claim;
  }

  private claimJson({ name, request, referrer }: Claim) {
    const own = this.promisesOf(name).filter(
      ({ side, status }) => side === 'referee' && status !== 'cancelled',
    );
    return {
      ...{
        id: name,
        referral_code_id: `code ${request.code}`,
        referrer_id: referrer,
        referee_id: request.user,
      },
      rewards: own.sort((a, b) => (a.currency < b.currency ? -1 : 1)).map(rewardJson),
    };
  }

  private kindsOf({ name }: Claim): string[] {
    const promises = this.promisesOf(name);
    const isClamped = promises.some(({ line, amount }) => line !== null && line.amount < amount);
    const isPending = promises.some(({ status }) => status === 'pending');
    return [...(isClamped ? ['clamped'] : []), ...(isPending ? ['pending'] : [])];
  }
}

const isOpen = ({ active, deleted }: Code) => active && !deleted;

function codeJson(code: Code) {
  const { name, owner, uses, reward_referrer, reward_referee, max_uses } = code;
  return {
    ...{ id: `code ${name}`, code: `spelling of ${name}`, app_user_id: owner },
    ...{ reward_referrer, reward_referee, current_uses: uses, max_uses, is_active: isOpen(code) },
  };
}
