/** What a request must be answered with, in the names of the model where the server has ids. */
export interface Answer {
  status: number;
  code?: string;
  /** At least these fields, exactly these rows. */
  data?: unknown;
  details?: unknown;
  total?: number;
  replayed?: boolean;
  /** What else is worth counting about this answer: a claim that was clamped is not like one that was not. */
  also?: string[];
}

/** By the contract, not by the product's catalogue. */
const STATUS = {
  ...{ INVALID_INPUT: 400, INVALID_REWARD: 400, SELF_REFERRAL: 400, ALREADY_CLAIMED: 400 },
  ...{
    MAX_USES_REACHED: 400,
    CLAIM_LIMIT_REACHED: 400,
    INVALID_TOKEN: 401,
    INVALID_CODE: 404,
    NOT_FOUND: 404,
  },
  ...{ CODE_EXISTS: 409, CURRENCY_EXISTS: 409, USER_ERASED: 409, MAX_USES_TOO_LOW: 409 },
  ...{ MAX_BALANCE_TOO_LOW: 409, NOT_REPLAYABLE: 409, NOT_CANCELLABLE: 409, IDEMPOTENCY_MISMATCH: 422 },
} as const;

export type Refusal = keyof typeof STATUS;

export function ok(data: unknown, also?: string[]): Answer {
  return { status: 200, data, also };
}

export function created(data: unknown, also?: string[]): Answer {
  return { status: 201, data, replayed: false, also };
}

export function replayed(data: unknown): Answer {
  return { status: 201, data, replayed: true, also: ['replayed'] };
}

export function refused(code: Refusal, details?: object): Answer {
  return { status: STATUS[code], code, ...(details && { details }) };
}
