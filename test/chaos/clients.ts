import { setTimeout as sleep } from 'node:timers/promises';
import type { AppProcess } from './app-process';
import { send, type Answer, type Request } from './http';
import type { Journal } from './journal';
import type { Program } from './programs';
import { Random } from './random';

const CLAIMS_PER_USER = { min: 2, max: 8 };
const GIVE_UP_MS = { min: 1_200, max: 9_000 };
const RETRY_PAUSE_MS = { min: 20, max: 250 };
const PAUSE_MS = { min: 5, max: 60 };
const WAIT_FOR_APP_MS = 50;
const IDEMPOTENT_PERCENT = 50;
const TWICE_AT_ONCE_PERCENT = 8;
const ASKED_AGAIN_PERCENT = 10;
const GRANT_PERCENT = 25;

/** What the clients did, added up. */
export class Tally {
  requests = 0;
  answers = 0;
  /** Requests without an answer, or with a 5xx, which were sent again. */
  retries = 0;
  /** Answers that no correct server gives, and wishes that nobody answered once all was well again. */
  readonly wrong: string[] = [];
}

interface Context {
  seed: number;
  apps: AppProcess[];
  programs: Program[];
  journal: Journal;
  tally: Tally;
  /** No new wishes. */
  stopping: AbortSignal;
  /** Whoever has no answer by then says so. */
  givingUp: AbortSignal;
}

interface Reply {
  answer: Answer;
  /** How often it was asked for. */
  tries: number;
}

interface User {
  id: string;
  headers: Record<string, string>;
}

/** Makes users who claim codes, one after the other, and asks until it is answered. */
export class ChaosClient {
  constructor(
    private readonly index: number,
    private readonly context: Context,
  ) {}

  async work(): Promise<void> {
    const { seed, stopping, programs } = this.context;
    for (let count = 0; !stopping.aborted; count += 1) {
      const name = `${this.index}-${count}`;
      const random = new Random(seed, 'user', name);
      const program = random.pick(programs);
      const user = await this.signIn(name, program);
      if (user === undefined) continue;
      const claims = random.int(CLAIMS_PER_USER.min, CLAIMS_PER_USER.max);
      for (const code of random.shuffled(program.codes).slice(0, claims)) {
        if (stopping.aborted) return;
        await this.claim(`${name}-${code}`, user, { code, isLimited: program.limited.has(code) });
        await this.maybeGrant(`${name}-${code}-grant`, user, program);
        await sleep(new Random(seed, 'pause', name, code).int(PAUSE_MS.min, PAUSE_MS.max));
      }
    }
  }

  private async signIn(name: string, program: Program): Promise<User | undefined> {
    const reply = await this.ask(`sign-in ${name}`, {
      path: `/v1/admin/projects/${program.projectId}/users/session`,
      headers: { authorization: `Bearer ${program.serverKey}` },
      body: { external_id: name },
    });
    if (reply === undefined) return undefined;
    const { status, body } = reply.answer;
    if (status !== 201) {
      this.wrong(`sign-in ${name}`, reply.answer);
      return undefined;
    }
    const { session_token: token, user } = body.data;
    return { id: user.id, headers: { 'x-api-key': program.clientKey, authorization: `Bearer ${token}` } };
  }

  private async claim(
    op: string,
    user: User,
    { code, isLimited }: { code: string; isLimited: boolean },
  ): Promise<void> {
    const random = new Random(this.context.seed, 'claim', op);
    const isIdempotent = random.chance(IDEMPOTENT_PERCENT);
    const request: Request = {
      path: '/v1/client/referrals/claim',
      headers: { ...user.headers, ...(isIdempotent && { 'idempotency-key': op }) },
      body: { code },
    };
    const taps = random.chance(TWICE_AT_ONCE_PERCENT) ? 2 : 1;
    const ask = async (round: string, mayBeClaimed: boolean) => {
      const reply = await this.ask(`${op} ${round}`, request);
      if (reply === undefined) return;
      const wasMaybeClaimed = mayBeClaimed || reply.tries > 1;
      this.hear({ op, user, code, isLimited, mayHear: wasMaybeClaimed && !isIdempotent }, reply);
    };
    await Promise.all(Array.from({ length: taps }, (_, tap) => ask(`tap ${tap}`, taps > 1)));
    if (random.chance(ASKED_AGAIN_PERCENT)) await ask('again', true);
  }

  /** Writes down what a claim was answered. An idempotency key gets the 201 again, never ALREADY_CLAIMED. */
  private hear(
    claim: { op: string; user: User; code: string; isLimited: boolean; mayHear: boolean },
    { answer }: Reply,
  ): void {
    const { op, user, code, isLimited, mayHear } = claim;
    const { journal } = this.context;
    const error = answer.body.error?.code;
    if (answer.status === 201) {
      journal.write({ kind: 'claimed', op, userId: user.id, code, claimId: answer.body.data.id });
    } else if (error === 'ALREADY_CLAIMED' && mayHear) {
      journal.write({
        kind: 'claimed',
        op,
        userId: user.id,
        code,
        claimId: answer.body.error.details.claim.id,
      });
    } else if (error === 'MAX_USES_REACHED' && isLimited) {
      journal.write({ kind: 'refused', op, userId: user.id, code });
    } else this.wrong(op, answer);
  }

  private async maybeGrant(op: string, user: User, program: Program): Promise<void> {
    const random = new Random(this.context.seed, 'grant', op);
    if (!random.chance(GRANT_PERCENT)) return;
    const reply = await this.ask(op, {
      path: `/v1/admin/projects/${program.projectId}/currencies/grant`,
      headers: { authorization: `Bearer ${program.serverKey}`, 'idempotency-key': op },
      body: {
        app_user_id: user.id,
        currency_code: random.pick(['coins', 'gems']),
        amount: random.int(1, 30),
        reason: op,
      },
    });
    if (reply === undefined) return;
    const { status, body } = reply.answer;
    if (status === 201) {
      this.context.journal.write({ kind: 'granted', op, userId: user.id, lineId: body.data.id });
    } else this.wrong(op, reply.answer);
  }

  /** Asks one app after the other until one answers, and not with a 5xx. */
  private async ask(op: string, request: Request): Promise<Reply | undefined> {
    const { seed, tally, givingUp } = this.context;
    const random = new Random(seed, 'ask', op);
    let turn = random.int(0, this.context.apps.length - 1);
    for (let tries = 1; !givingUp.aborted; tries += 1, turn += 1) {
      const url = await this.someApp(turn);
      const answer = url && (await send(url, request, random.int(GIVE_UP_MS.min, GIVE_UP_MS.max)));
      tally.requests += 1;
      if (answer && answer.status < 500) {
        tally.answers += 1;
        return { answer, tries };
      }
      // whatever is broken, the database or a link: that is no fault of the server
      if (answer && answer.body.error?.code === 'INTERNAL_ERROR') this.wrong(op, answer);
      tally.retries += 1;
      await sleep(random.int(RETRY_PAUSE_MS.min, RETRY_PAUSE_MS.max));
    }
    tally.wrong.push(`${op}: not answered although all was well again`);
    return undefined;
  }

  /** The app whose turn it is, or the next one that serves. */
  private async someApp(turn: number): Promise<string | undefined> {
    const { apps, givingUp } = this.context;
    while (!givingUp.aborted) {
      const inOrder = apps.map((_, i) => apps[(turn + i) % apps.length]);
      const serving = inOrder.find((app) => app?.url !== undefined);
      if (serving) return serving.url;
      await sleep(WAIT_FOR_APP_MS);
    }
    return undefined;
  }

  private wrong(op: string, { status, body }: Answer): void {
    this.context.tally.wrong.push(`${op}: ${status} ${JSON.stringify(body)}`);
  }
}
