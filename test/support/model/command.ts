import fc from 'fast-check';
import type { Response } from 'supertest';
import type { Answer } from './answer';
import type { Model } from './model';
import type { Stage } from './stage';

/** A claim and a replay are answered after a second, with what is not paid by then as `pending`. */
const PAYMENT_WAIT_MS = 1_000;

/** One kind of request, to the server and to the model. */
export interface Move {
  /** As it is counted. */
  kind: string;
  /** As it is read in a failing sequence. */
  label: string;
  /** The answer waits for a payment, if that is quick. */
  pays?: boolean;
  /** Left out of the sequence where this says no. */
  when?: (model: Model) => boolean;
  /** Before the model moves. */
  send: (stage: Stage, model: Model) => Promise<Response>;
  /** Looked at afterwards: what the model cannot know, since the contract leaves it open. */
  observe?: (stage: Stage) => Promise<unknown>;
  /** Puts rows into one order that the contract leaves in any. */
  arrange?: (data: any) => any;
  /** Moves the model. */
  predict: (model: Model, observed: any) => Answer;
}

/** Sends the request, moves the model, and compares. */
export class Command implements fc.AsyncCommand<Model, Stage> {
  constructor(private readonly move: Move) {}

  check(model: Model): boolean {
    return this.move.when?.(model) ?? true;
  }

  async run(model: Model, stage: Stage): Promise<void> {
    const { kind, pays, send, observe, predict, arrange = (data: any) => data } = this.move;
    const start = performance.now();
    const response = await send(stage, model);
    // a machine that stalls decides what is right to answer: the sequence says nothing then, and another one is played
    fc.pre(!pays || performance.now() - start < PAYMENT_WAIT_MS);
    const { also = [], ...answer } = predict(model, await observe?.(stage));
    stage.learn(answer, response);
    const outcome = `${kind}: ${answer.status} ${answer.code ?? ''}`.trim();
    for (const facet of ['', ...also]) stage.coverage.note(`${outcome} ${facet}`.trim());
    const { error, data, total } = stage.named(response);
    expect({
      ...{ status: response.status, code: error?.code, details: error?.details, total },
      data: data && arrange(data),
      replayed: response.headers['idempotent-replayed'] === 'true',
    }).toMatchObject(answer);
  }

  toString(): string {
    // each on a line of its own in what fast-check prints
    return `\n  ${this.move.label}`;
  }
}
