/** As much of a shell as a page of ours uses: assignments, `name() { curl … "$@"; echo; }`, and curl, which is `fetch`. */
export class Shell {
  private readonly variables = new Map<string, string>();
  private readonly functions = new Map<string, string>();

  /** @returns the body of the answer; undefined for a line that only assigns or defines */
  async run(line: string): Promise<string | undefined> {
    const [, name = '', body] = /^(\w+)\(\) \{ (curl .*) "\$@"; echo; \}$/.exec(line) ?? [];
    if (body !== undefined) {
      this.functions.set(name, body);
      return undefined;
    }
    const [, variable, value = ''] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (variable !== undefined) {
      this.variables.set(variable, this.words(value).join(' '));
      return undefined;
    }
    const [command = '', ...args] = this.words(line.replace(/; echo$/, ''));
    const [program, ...all] = [...this.words(this.functions.get(command) ?? command), ...args];
    if (program !== 'curl') throw new Error(`Not a command of this shell: ${line}`);
    return curl(all);
  }

  /** The words of a line, without their quotes and with the values of variables. */
  words(line: string): string[] {
    const words: string[] = [];
    let begun = false;
    for (const [, single, double, plain] of line.matchAll(/'([^']*)'|"((?:[^"\\]|\\.)*)"|([^\s'"]+)|\s+/g)) {
      const part = single ?? this.expand(double ?? plain ?? '');
      const isSpace = (single ?? double ?? plain) === undefined;
      if (isSpace) begun = false;
      else if (begun) words.push(`${words.pop()}${part}`);
      else begun = words.push(part) > 0;
    }
    return words;
  }

  private expand(text: string): string {
    return text.replace(/\\(["\\$])|\$(\w+)/g, (_, escaped?: string, name = '') => {
      const value = escaped ?? this.variables.get(name);
      if (value === undefined) throw new Error(`$${name} has no value yet.`);
      return value;
    });
  }
}

async function curl(args: string[]): Promise<string> {
  const headers = new Headers();
  let [method, url, body]: (string | undefined)[] = [];
  for (let word = args.shift(); word !== undefined; word = args.shift()) {
    if (word === '-sS') continue;
    else if (word === '-X') method = args.shift();
    else if (word === '-d') body = args.shift();
    else if (word === '-H') {
      const [name = '', ...value] = (args.shift() ?? '').split(': ');
      headers.set(name, value.join(': '));
    } else if (!word.startsWith('-') && url === undefined) url = word;
    else throw new Error(`curl ${word} is not known here.`);
  }
  // as curl does
  if (body !== undefined && !headers.has('content-type'))
    headers.set('content-type', 'application/x-www-form-urlencoded');
  const response = await fetch(url ?? '', {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers,
    body,
  });
  return response.text();
}
