const pg = require('pg');

/**
 * Loaded into the built server before its own code (`node --require`): names the tenant to PostgreSQL, as a server
 * that relies on row-level security must, in the cheapest ways that are safe. So any version can be measured.
 *
 * - A transaction names it together with its BEGIN: no round trip more.
 * - A statement outside of a transaction gets one of its own (`RLS_READS=transaction`), which is right behind any
 *   pooler; or the connection remembers its tenant and is told only of another (`session`), which is wrong behind
 *   PgBouncer in transaction mode; or it is not protected at all (`never`), and the server takes a role that is with
 *   each transaction.
 * - Work across tenants does the same with the role that bypasses policies.
 *
 * A server would hand the tenant on. Here it is the project among the parameters of the statement, or of the first one
 * of the transaction, whose BEGIN waits for it: that costs nothing, where an `AsyncLocalStorage` would be measured too.
 */
const projects = new Set(JSON.parse(process.env.RLS_PROJECTS));
const around = { transaction: inOwnTransaction, session: afterNaming }[process.env.RLS_READS];
const send = pg.Client.prototype.query;

pg.Client.prototype.query = function query(...args) {
  const [text, values] = args;
  // a cursor or a callback is the pool's own, and a key is looked up before the tenant is known
  if (typeof text !== 'string' || typeof args.at(-1) === 'function' || /\bapi_keys\b/.test(text)) {
    return send.apply(this, args);
  }
  if (/^\s*(START TRANSACTION|BEGIN)\b/i.test(text)) {
    Object.assign(this, { inTransaction: true, waiting: text });
    return Promise.resolve({ command: 'BEGIN', rowCount: null, rows: [] });
  }
  if (this.waiting) {
    // sent first, as the connection keeps the order; when it fails, so does the statement after it
    begin(this, this.waiting, values).catch(() => undefined);
    this.waiting = undefined;
  }
  if (/^\s*(COMMIT|ROLLBACK)\s*;?\s*$/i.test(text)) this.inTransaction = false;
  else if (!this.inTransaction && around) return around(this, args);
  return send.apply(this, args);
};

function begin(client, text, values) {
  return send.call(client, `${text}; ${naming('LOCAL', values)}`);
}

function naming(scope, values) {
  const project = Array.isArray(values) ? values.find((value) => projects.has(value)) : undefined;
  if (project === undefined) return `SET ${scope} ROLE ${process.env.RLS_OPERATOR}`;
  const name = `SET ${scope} app.project_id = '${project}'`;
  return around ? name : `SET LOCAL ROLE ${process.env.RLS_SERVER}; ${name}`;
}

async function inOwnTransaction(client, args) {
  await begin(client, 'BEGIN', args[1]);
  try {
    const result = await send.apply(client, args);
    await send.call(client, 'COMMIT');
    return result;
  } catch (error) {
    await send.call(client, 'ROLLBACK');
    throw error;
  }
}

async function afterNaming(client, args) {
  const name = naming('SESSION', args[1]);
  if (client.named !== name) await send.call(client, `RESET ROLE; ${name}`);
  client.named = name;
  return send.apply(client, args);
}
