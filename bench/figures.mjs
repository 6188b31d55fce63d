/** Figures of repeated measurements. */

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle) - 1]) / 2;
}

/** The median of paired ratios, with a confidence interval of at least 95 % that assumes no distribution. */
export function ratio(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const k = outside(sorted.length);
  const [low, high] = [sorted[k], sorted.at(-1 - k)];
  return `${median(sorted).toFixed(3)} (${low.toFixed(3)}–${high.toFixed(3)})`;
}

/** How many of n values may be left out at each end: the median is beyond them in 5 % of all cases at most. */
function outside(n) {
  let [k, term, tail] = [0, 0.5 ** n, 0.5 ** n];
  while (2 * (tail + (term * (n - k)) / (k + 1)) <= 0.05) {
    term *= (n - k) / (k + 1);
    tail += term;
    k += 1;
  }
  return k;
}
