import { Conversation, type Point } from './conversation';
import { MessageReader, type Message } from './wire';

/** As a client writes it. */
function message(type: string, ...fields: (string | Buffer)[]): Buffer {
  const body = Buffer.concat(
    fields.map((field) => (typeof field === 'string' ? Buffer.from(`${field}\0`) : field)),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type, 'latin1'), length, body]);
}

const int32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const greeting = message('', int32(196_608), 'user', 'amba', '');
const query = (sql: string) => message('Q', sql);
const prepare = (name: string, sql: string) => message('P', name, sql, Buffer.alloc(2));
const execute = (statement: string) =>
  Buffer.concat([message('B', '', statement, Buffer.alloc(6)), message('E', '', int32(0))]);
const sync = message('S');
const done = (tag: string) => message('C', tag);
const ready = (status: 'I' | 'T' | 'E') => message('Z', Buffer.from(status));
const error = message('E', 'SERROR', 'C23505', Buffer.alloc(1));

describe('the reader of messages', () => {
  const stream = Buffer.concat([greeting, query('SELECT 1'), prepare('s', 'SELECT 2'), execute('s'), sync]);

  it.each([1, 2, 3, 4, 5, 7, 16, 10_000])('finds the same messages in chunks of %i bytes', (size) => {
    const reader = new MessageReader('client');
    const messages: Message[] = [];
    for (let start = 0; start < stream.length; start += size) {
      messages.push(...reader.push(stream.subarray(start, start + size)));
    }
    expect(messages.map(({ type }) => type)).toEqual(['', 'Q', 'P', 'B', 'E', 'S']);
    expect(Buffer.concat(messages.map(({ bytes }) => bytes))).toEqual(stream);
    expect(messages[1]?.body.toString()).toBe('SELECT 1\0');
  });

  it('keeps what is not complete yet', () => {
    const reader = new MessageReader('server');
    const bytes = Buffer.concat([done('COMMIT'), ready('I')]);
    expect(reader.push(bytes.subarray(0, -1)).map(({ type }) => type)).toEqual(['C']);
    expect(reader.push(bytes.subarray(-1)).map(({ type }) => type)).toEqual(['Z']);
  });

  it('refuses a client that wants TLS, which it could not listen to', () => {
    expect(() => new MessageReader('client').push(message('', int32(80_877_103)))).toThrow('without TLS');
  });
});

describe('the listener to a connection', () => {
  const CLAIM = 'INSERT INTO "referral_claims" ("id") VALUES ($1)';
  const PROMISE = 'INSERT INTO reward_grants (id) SELECT 1';
  const BALANCES = 'UPDATE balances b SET balance = 1';
  const LINES = 'INSERT INTO currency_transactions (id) VALUES (1)';
  const BY_HAND = 'INSERT INTO admin_grants (id) VALUES (1)';

  type Turn = ['client' | 'server', ...Buffer[]];

  /** The points of a dialogue; each entry is what one side sends at once. */
  function pointsOf(dialogue: Turn[], conversation = new Conversation()): Point[][] {
    const readers = { client: new MessageReader('client'), server: new MessageReader('server') };
    readers.client.push(greeting);
    return dialogue.map(([side, ...bytes]) =>
      readers[side]
        .push(Buffer.concat(bytes))
        .flatMap((found) => (side === 'client' ? conversation.ask(found) : conversation.answer(found))),
    );
  }

  it('hears a claim that is sent statement by statement', () => {
    expect(
      pointsOf([
        ['client', query('START TRANSACTION')],
        ['server', done('START TRANSACTION'), ready('T')],
        ['client', prepare('', CLAIM), execute(''), sync],
        ['server', done('INSERT 0 1'), ready('T')],
        ['client', query(PROMISE)],
        ['server', done('INSERT 0 3'), ready('T')],
        ['client', query('COMMIT')],
        ['server', done('COMMIT'), ready('I')],
      ]).filter((points) => points.length > 0),
    ).toEqual([['at BEGIN'], ['claim before its write'], ['claim before COMMIT'], ['claim after COMMIT']]);
  });

  it('hears the locks of a claim and of a grant', () => {
    const lock = (table: string, how: string) =>
      query(`SELECT t.id FROM "${table}" "t"\n WHERE t.id = 1\n ${how}`);
    expect(
      pointsOf([
        ['client', lock('referral_codes', 'FOR UPDATE')],
        ['client', lock('referral_codes', 'FOR NO KEY UPDATE OF t')],
        ['client', lock('balances', 'ORDER BY id FOR UPDATE')],
        ['client', lock('currencies', 'FOR SHARE'), lock('balances', ''), lock('referral_codes', '')],
      ]),
    ).toEqual([
      ['at the lock on the code'],
      ['at the lock on the code'],
      ['at the locks on the balances'],
      [],
    ]);
  });

  it('hears a grant, from its first write to its end', () => {
    expect(
      pointsOf([
        ['client', query('BEGIN')],
        ['server', done('BEGIN'), ready('T')],
        ['client', prepare('', BALANCES), execute(''), sync],
        ['server', done('UPDATE 2'), ready('T')],
        ['client', query(LINES)],
        ['server', done('INSERT 0 2'), ready('T')],
        ['client', query('COMMIT')],
        ['server', done('COMMIT'), ready('I')],
      ]),
    ).toEqual([
      ['at BEGIN'],
      [],
      ['grant before its first write'],
      [],
      ['grant inside'],
      [],
      ['grant before COMMIT'],
      ['grant after COMMIT', 'after a grant'],
    ]);
  });

  it('hears what is prepared once and sent in one go', () => {
    expect(
      pointsOf([
        [
          'client',
          prepare('b', 'BEGIN'),
          prepare('w', BALANCES),
          prepare('l', LINES),
          prepare('c', 'COMMIT'),
          sync,
        ],
        ['server', ready('I')],
        [
          'client',
          execute('b'),
          execute('w'),
          execute('l'),
          execute('c'),
          sync,
          execute('b'),
          execute('w'),
          sync,
        ],
        ['server', done('BEGIN'), done('UPDATE 2'), done('INSERT 0 2'), done('COMMIT'), ready('I')],
      ]),
    ).toEqual([
      [],
      [],
      [
        ...['at BEGIN', 'grant before its first write', 'grant inside', 'grant before COMMIT'],
        ...['at BEGIN', 'grant before its first write'],
      ],
      ['grant after COMMIT', 'after a grant'],
    ]);
  });

  it('hears a claim that is one statement, or one message, without BEGIN of its own', () => {
    const merged = `WITH k AS (${CLAIM} RETURNING id) ${PROMISE}`;
    expect(
      pointsOf([
        ['client', prepare('', merged), execute(''), sync],
        ['server', done('INSERT 0 1')],
        ['server', ready('I')],
        ['client', query(`BEGIN; ${merged}; COMMIT`)],
        ['server', done('BEGIN'), done('INSERT 0 1'), done('COMMIT'), ready('I')],
      ]),
    ).toEqual([
      ['claim before its write', 'claim before COMMIT'],
      [],
      ['claim after COMMIT'],
      ['at BEGIN', 'claim before its write', 'claim before COMMIT'],
      ['claim after COMMIT'],
    ]);
  });

  it('takes a grant by hand for what it is, although it writes the same tables', () => {
    expect(
      pointsOf([
        ['client', query('BEGIN'), query(BY_HAND), query(BALANCES), query(LINES), query('COMMIT')],
        ...['BEGIN', 'INSERT 0 1', 'UPDATE 1', 'INSERT 0 1', 'COMMIT'].map((tag): ['server', ...Buffer[]] => [
          ...(['server', done(tag), ready('T')] as const),
        ]),
      ]).filter((points) => points.length > 0),
    ).toEqual([['at BEGIN', 'admin grant before COMMIT'], ['admin grant after COMMIT']]);
  });

  it('takes no failed COMMIT for one, and nothing of it into the next transaction', () => {
    expect(
      pointsOf([
        ['client', query('BEGIN'), query(CLAIM)],
        ['server', done('BEGIN'), ready('T'), error, ready('E')],
        ['client', query('COMMIT')],
        ['server', done('ROLLBACK'), ready('I')],
        ['client', query('BEGIN'), query('SELECT 1'), query('COMMIT')],
        ['server', done('BEGIN'), ready('T'), done('SELECT 1'), ready('T'), done('COMMIT'), ready('I')],
        ['client', prepare('', CLAIM), execute(''), execute(''), sync],
        ['server', error, ready('I')],
        ['client', query('BEGIN'), query(CLAIM), query('ROLLBACK')],
        ['server', done('BEGIN'), ready('T'), done('INSERT 0 1'), ready('T'), done('ROLLBACK'), ready('I')],
      ]),
    ).toEqual([
      ...[['at BEGIN', 'claim before its write'], [], ['claim before COMMIT'], []],
      ...[['at BEGIN'], [], ['claim before its write', 'claim before its write', 'claim before COMMIT'], []],
      ...[['at BEGIN', 'claim before its write'], []],
    ]);
  });

  it.each<['done' | 'failed', Turn]>([
    ['done', ['server', done('SELECT 2')]],
    ['failed', ['server', error]],
  ])('knows of a write that is sent together with its COMMIT when it is %s', (outcome, answer) => {
    const conversation = new Conversation();
    const flight: Turn = ['client', prepare('', `WITH m AS (${BALANCES}) ${LINES}`), execute(''), sync];
    expect(pointsOf([['client', query('BEGIN')]], conversation)).toEqual([['at BEGIN']]);
    expect(pointsOf([[...flight, query('COMMIT')]], conversation)).toEqual([
      ['grant before its first write', 'grant inside', 'grant before COMMIT'],
    ]);
    pointsOf([['server', done('BEGIN'), ready('T')]], conversation);
    expect(conversation.written).toBeUndefined();
    pointsOf([answer], conversation);
    expect(conversation.written).toBe(outcome);
  });

  it('counts the statements that were cancelled, not those that took too long', () => {
    const conversation = new Conversation();
    const cancelledBy = (why: string) =>
      message('E', 'SERROR', 'C57014', `Mcanceling statement due to ${why}`, Buffer.alloc(1));
    const [cancelled, tooLong] = [cancelledBy('user request'), cancelledBy('statement timeout')];
    pointsOf([['server', cancelled, ready('I'), tooLong, ready('I'), error, cancelled]], conversation);
    expect(conversation.cancelled).toBe(2);
  });

  it('knows the process at the other end', () => {
    const conversation = new Conversation();
    const [key] = new MessageReader('server').push(message('K', int32(4711), int32(1)));
    conversation.answer(key as Message);
    expect(conversation.backendPid).toBe(4711);
  });
});
