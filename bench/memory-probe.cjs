const { constants, PerformanceObserver } = require('node:perf_hooks');

/**
 * Loaded into a server (`node --require`): when it is asked, tells what it holds, in bytes, and what was in use right after each
 * collection of the whole heap since it was last asked. None is forced, so that what is measured stays as it is.
 */
let collected = [];

const observer = new PerformanceObserver((list) => {
  const isFull = list.getEntries().some(({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR);
  if (isFull)
    collected.push({ at: process.hrtime.bigint().toString(), heap: process.memoryUsage().heapUsed });
});
observer.observe({ entryTypes: ['gc'] });

process.on('message', () => {
  process.send({ ...process.memoryUsage(), collected });
  collected = [];
});
