const pg = require('pg');
const { Flight } = require('../dist/src/database/flight.js');

/**
 * Loaded into the built server before its own code (`node --require`): names the tenant to PostgreSQL, as a server
 * that relies on row-level security must, in the cheapest way that is safe behind any pooler. It is a statement more in a
 * flight that leaves anyway, prepared once, so that it costs no round trip:
 *
 * - A transaction names its tenant right after START TRANSACTION, before its first statement.
 * - What is read outside of a transaction has it in front (`RLS_READS=named`): all that one Sync ends is one transaction to
 *   PostgreSQL, and what is local to that is gone after it. Or it has no wall (`never`), and the server takes a role that
 *   has one with each transaction.
 * - Work across tenants takes the role that bypasses policies in the same way.
 *
 * A server would hand the tenant on. Here it is the project among the values of the flight, which costs little, where an
 * `AsyncLocalStorage` would be measured too. For the look at key and session it is the one that the signed token names;
 * without one only tables are read that have no policy.
 */
const { RLS_OPERATOR, RLS_PROJECTS, RLS_READS, RLS_SERVER } = process.env;
const projects = new Set(JSON.parse(RLS_PROJECTS));
const areReadsNamed = RLS_READS === 'named';
const send = pg.Client.prototype.query;

const BEGIN = 'START TRANSACTION';
const ENDS = ['COMMIT', 'ROLLBACK'];
const TENANT = `set_config('app.project_id', $1, true)`;
const ROLE = `set_config('role', $1, true)`;
const WITHOUT_TENANT = /\bapi_keys\b/;

pg.Client.prototype.query = function query(...args) {
  if (args[0] instanceof Flight) board(this, args[0]);
  return send.apply(this, args);
};

/** A client is `unnamed` from START TRANSACTION until its tenant is named. */
function board(client, flight) {
  const texts = flight.statements.map(({ text }) => text);
  if (texts[0] === BEGIN) Object.assign(client, { inTransaction: true, unnamed: true });
  const first = texts.findIndex((text) => text !== BEGIN && !ENDS.includes(text));
  const isDue = client.inTransaction ? client.unnamed : areReadsNamed;
  if (isDue && first !== -1) {
    nameTenant(flight, first, client.inTransaction);
    client.unnamed = false;
  }
  if (ENDS.includes(texts.at(-1))) client.inTransaction = false;
}

function nameTenant(flight, first, inTransaction) {
  const { statements } = flight;
  const project = statements.flatMap(({ values }) => values).find((value) => projects.has(value));
  if (project === undefined && !inTransaction && WITHOUT_TENANT.test(statements[first].text)) return;
  // its failure is that of all that come after it, and told by them
  add(flight, project).catch(() => undefined);
  statements.splice(first, 0, statements.pop());
}

function add(flight, project) {
  if (project === undefined) return flight.add(`SELECT ${ROLE}`, [RLS_OPERATOR], 'rls_operator');
  if (areReadsNamed) return flight.add(`SELECT ${TENANT}`, [project], 'rls_tenant');
  return flight.add(`SELECT ${TENANT}, ${ROLE.replace('$1', '$2')}`, [project, RLS_SERVER], 'rls_tenant');
}
