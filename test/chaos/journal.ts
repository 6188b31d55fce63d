import { openSync, readFileSync, writeSync } from 'node:fs';

/** What a client was told, for good. */
export type Told = {
  /** The one thing that the client wanted, however often it asked. */
  op: string;
  userId: string;
} & (
  | { kind: 'claimed'; code: string; claimId: string }
  | { kind: 'refused'; code: string }
  | { kind: 'granted'; lineId: string }
);

/**
 * What the clients were told, written before anything else is done with it. The writer itself is never killed, so that
 * what the system has taken is safe without a flush to disk.
 */
export class Journal {
  private readonly file: number;

  constructor(private readonly path: string) {
    this.file = openSync(path, 'a');
  }

  write(told: Told): void {
    writeSync(this.file, `${JSON.stringify(told)}\n`);
  }

  /** What the file says, not what we remember. */
  read(): Told[] {
    const lines = readFileSync(this.path, 'utf8').split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Told);
  }
}
