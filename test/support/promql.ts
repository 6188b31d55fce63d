import { parser } from '@prometheus-io/lezer-promql';

/** What an expression asks of a time series. */
export interface Selector {
  name: string;
  /** By label the text that it must equal; undefined where it is compared in another way. */
  matchers: Record<string, string | undefined>;
}

export interface Query {
  /** What does not parse, if something. */
  faults: string[];
  selectors: Selector[];
  /** Labels that rows are put together by. */
  grouping: string[];
}

/** Reads PromQL, with Grafana's variables in it. */
export function readPromql(expression: string): Query {
  const text = expression.replaceAll('$__rate_interval', '5m');
  const query: Query = { faults: [], selectors: [], grouping: [] };
  let isGrouping = false;
  parser.parse(text).iterate({
    enter: (node) => {
      const own = text.slice(node.from, node.to);
      if (node.type.isError) query.faults.push(`${text.slice(0, node.from)}⚠${text.slice(node.from)}`);
      if (node.name === 'VectorSelector') query.selectors.push({ name: '', matchers: {} });
      const selector = query.selectors.at(-1);
      if (node.name === 'Identifier' && selector) selector.name = own;
      if (node.name === 'GroupingLabels') isGrouping = true;
      if (node.name === 'LabelName' && isGrouping) query.grouping.push(own);
      if (node.name === 'UnquotedLabelMatcher' && selector) {
        const [, label = '', operator, value] = /^(\w+)\s*(=~|!~|!=|=)\s*"(.*)"$/.exec(own) ?? [];
        selector.matchers[label] = operator === '=' ? value : undefined;
      }
    },
    leave: (node) => {
      if (node.name === 'GroupingLabels') isGrouping = false;
    },
  });
  return query;
}
