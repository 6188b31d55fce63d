type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Stands for what a page leaves out: the rest of a text, of a list, or of an object. */
const REST = '…';

/** What differs from run to run, known by how it looks; two texts of one kind are alike. */
const KINDS = [
  /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/,
  /^\d{4}-\d\d-\d\dT[\d:.]+Z$/,
  /^\d{4}-\d\d-\d\d$/,
  /^eyJ/,
  /^amb_(dev|live)_ck_/,
  /^amb_(dev|live)_sk_/,
  /^amb_dpat_/,
  /^amb_rt_/,
  /^anon_/,
  /^[2-9A-HJKMNP-Z]{8}$/,
];
/** The others name something: the same name stands for the same thing throughout. */
const isTime = (kind: number) => kind === 1 || kind === 2;

/** Counted in tries and seconds, which depend on the machine. */
const UNSTEADY = new Set(['attempts', 'oldest_pending_age_s']);

/** Compares what a page shows with what a server answers, and learns which id stands for which. */
export class Likeness {
  private names = new Map<string, string>();

  /** Says that `shown` on the page is `actual` here. */
  name(shown: string, actual: string): void {
    this.names.set(shown, actual);
  }

  /** A line of the page with the names of this run. */
  translate(line: string): string {
    // the longest first: what is shown of a key in a list is the beginning of the key
    const names = [...this.names].sort(([one], [other]) => other.length - one.length);
    return names.reduce((text, [shown, actual]) => text.replaceAll(shown, actual), line);
  }

  /** @returns where the answer is unlike what is shown, and undefined when it is not */
  difference(shown: string, actual: string): string | undefined {
    return this.tryOn(parse(shown), parse(actual), '');
  }

  private compare(shown: Json, actual: Json, path: string): string | undefined {
    if (typeof shown === 'string' && typeof actual === 'string')
      return this.compareTexts(shown, actual, path);
    if (typeof shown !== 'object' || typeof actual !== 'object' || !shown || !actual) {
      const alike = shown === actual || (isUnsteady(path) && typeof shown === typeof actual);
      return alike ? undefined : `${path}: ${JSON.stringify(shown)} is shown, not ${JSON.stringify(actual)}`;
    }
    if (Array.isArray(shown) !== Array.isArray(actual)) return `${path}: a list is no object`;
    const [partOf, keys] = [Object.entries(shown), Object.keys(actual)];
    const open = REST in shown || (Array.isArray(shown) && shown.at(-1) === REST);
    const wanted = partOf.filter(([, value]) => value !== REST);
    if (open ? keys.length <= wanted.length : keys.length !== wanted.length)
      return `${path}: ${partOf.map(([key]) => key).join()} is shown, not ${keys.join()}`;
    if (Array.isArray(shown)) {
      const rows = shown.filter((row) => row !== REST);
      return this.compareRows(rows, actual as Json[], path);
    }
    for (const [key, value] of wanted) {
      if (!(key in actual)) return `${path}.${key} is missing`;
      const found = this.compare(value, (actual as { [key: string]: Json })[key]!, `${path}.${key}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Rows of one moment come in any order. */
  private compareRows(shown: Json[], actual: Json[], path: string): string | undefined {
    const left = [...actual];
    for (const [index, row] of shown.entries()) {
      let difference: string | undefined;
      const found = left.findIndex((candidate) => {
        const unlike = this.tryOn(row, candidate, `${path}.${index}`);
        difference ??= unlike;
        return unlike === undefined;
      });
      if (found < 0) return difference;
      left.splice(found, 1);
    }
    return undefined;
  }

  /** As `compare`, which then learns nothing when there is a difference. */
  private tryOn(shown: Json, actual: Json, path: string): string | undefined {
    const before = new Map(this.names);
    const found = this.compare(shown, actual, path);
    if (found !== undefined) this.names = before;
    return found;
  }

  private compareTexts(shown: string, actual: string, path: string): string | undefined {
    const unlike = `${path}: "${shown}" is shown, not "${actual}"`;
    if (isUnsteady(path)) return undefined;
    // made up for each user
    if (path.endsWith('.display_name') && shown !== 'Erased user') return actual ? undefined : unlike;
    const kind = KINDS.findIndex((look) => look.test(shown));
    if (kind < 0) return shown === actual ? undefined : unlike;
    if (!KINDS[kind]?.test(actual)) return unlike;
    if (isTime(kind)) return undefined;
    const known = this.names.get(shown);
    if (known === undefined && [...this.names.values()].includes(actual))
      return `${path}: "${shown}" is shown as something new, "${actual}" is not`;
    this.names.set(shown, actual);
    return known === undefined || known === actual ? undefined : `${unlike}: that is "${known}"`;
  }
}

function isUnsteady(path: string): boolean {
  return UNSTEADY.has(path.slice(path.lastIndexOf('.') + 1));
}

/** JSON, in which `…` may end a list or an object; or CSV, as a list of objects. */
function parse(text: string): Json {
  if (!text.startsWith('{')) {
    const [header = '', ...lines] = text.trim().split(/\r?\n/);
    const keys = header.split(',');
    return lines.map((line) => Object.fromEntries(line.split(',').map((cell, i) => [keys[i] ?? i, cell])));
  }
  const marked = text.replace(/("(?:[^"\\]|\\.)*")|…(?=\s*([\]}]))/g, (all, quoted?: string, end?: string) =>
    quoted === undefined ? (end === '}' ? `"${REST}": "${REST}"` : `"${REST}"`) : all,
  );
  return JSON.parse(marked) as Json;
}
