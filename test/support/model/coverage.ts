/** What a run must have seen, and seen more than once: a test that only ever hears INVALID_CODE shows nothing. */
const OUTCOMES = {
  'my-code': ['200', '201 from TEMPLATE', '201 from PROMO', '201 without template', '401 INVALID_TOKEN'],
  claim: [
    ...['201', '201 clamped', '201 pending', '201 replayed', '400 ALREADY_CLAIMED', '400 SELF_REFERRAL'],
    ...['400 MAX_USES_REACHED', '400 CLAIM_LIMIT_REACHED', '401 INVALID_TOKEN', '404 INVALID_CODE'],
    '422 IDEMPOTENCY_MISMATCH',
  ],
  balances: ['200'],
  history: ['200 lines'],
  'create a code': ['201', '400 INVALID_REWARD', '409 CODE_EXISTS', '409 USER_ERASED'],
  'change is_active': ['200', '404 NOT_FOUND'],
  'change max_uses': ['200', '404 NOT_FOUND', '409 MAX_USES_TOO_LOW'],
  'change rewards': ['200', '400 INVALID_REWARD', '404 NOT_FOUND'],
  'delete a code': ['200', '404 NOT_FOUND'],
  'list the codes': ['200'],
  'limit the claims': ['200'],
  'disable a user': ['200'],
  'enable a user': ['200 was disabled', '409 USER_ERASED'],
  'erase a user': ['200', '409 USER_ERASED'],
  'change a currency': [
    ...['200', '200 lower', '400 INVALID_INPUT', '404 NOT_FOUND', '409 MAX_BALANCE_TOO_LOW'],
  ],
  'delete a currency': ['200', '404 NOT_FOUND'],
  'define a currency again': ['201', '400 INVALID_INPUT', '409 CURRENCY_EXISTS', '409 MAX_BALANCE_TOO_LOW'],
  'grant by hand': [
    ...['201', '201 clamped', '201 replayed', '404 NOT_FOUND', '409 USER_ERASED', '422 IDEMPOTENCY_MISMATCH'],
  ],
  sweep: ['200 pending to pending', '200 pending to granted', '200 pending to dead'],
  replay: [
    ...['200 dead to granted', '200 dead to pending', '200 cancelled to granted', '200 cancelled to pending'],
    '409 NOT_REPLAYABLE',
  ],
  cancel: ['200 pending', '200 dead', '409 NOT_CANCELLABLE'],
  'replay many': ['200 dead', '200 cancelled'],
  'list the promises': ['200'],
  reconciliation: ['200'],
};

/** How often each kind of request got each answer. */
export class Coverage {
  private readonly counts = new Map<string, number>();

  note(outcome: string): void {
    this.counts.set(outcome, (this.counts.get(outcome) ?? 0) + 1);
  }

  /** The outcomes that were seen less often than that. */
  rarerThan(times: number): string[] {
    const wanted = Object.entries(OUTCOMES).flatMap(([kind, answers]) =>
      answers.map((answer) => `${kind}: ${answer}`),
    );
    return wanted.filter((outcome) => (this.counts.get(outcome) ?? 0) < times);
  }

  table(): string {
    const rows = [...this.counts].sort(([a], [b]) => (a < b ? -1 : 1));
    return rows.map(([outcome, count]) => `${String(count).padStart(7)}  ${outcome}`).join('\n');
  }
}
