const { default: Sequencer } = require('@jest/test-sequencer');
const { basename } = require('node:path');

/** Those that take a minute or more, so that none of them is left to run alone when all others are done. */
const LONGEST = [
  ...['start', 'hostile.requests', 'interleavings.claims', 'model', 'lifecycle', 'cli'],
  ...['interleavings.rewards', 'crash', 'hostile.input', 'integrity'],
];

/** On a fresh clone jest does not know what takes long, and goes by the size of the files. */
module.exports = class LongestFirst extends Sequencer {
  sort(tests) {
    const place = ({ path }) => LONGEST.indexOf(basename(path).replace(/(\.e2e)?\.spec\.ts$/, ''));
    const rank = (test) => (place(test) === -1 ? LONGEST.length : place(test));
    return super.sort(tests).sort((one, other) => rank(one) - rank(other));
  }
};
