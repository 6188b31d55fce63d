import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';

/** What processes have used so far, as Linux keeps it in /proc. */

/** Elsewhere there is nothing to read, and nothing is shown. */
export const isUsageKnown = process.platform === 'linux';

const ticksPerSecond = isUsageKnown ? Number(execFileSync('getconf', ['CLK_TCK'])) : NaN;
/** Places in /proc/<pid>/stat after the name: its parent, and ticks of its own and of children that ended. */
const [PARENT, OWN, OF_THE_ENDED] = [1, [11, 12], [13, 14]];

/** Seconds of CPU that a process has used; 0 for one that has ended. */
export function cpuOf(pid) {
  return secondsIn(statOf(pid), OWN);
}

/** Seconds of CPU that a process and all the children that it ever had have used. */
export function cpuOfFamily(pid) {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(statOf)
    .filter((fields) => fields?.[PARENT] === String(pid));
  const own = secondsIn(statOf(pid), [...OWN, ...OF_THE_ENDED]);
  return children.reduce((sum, fields) => sum + secondsIn(fields, [...OWN, ...OF_THE_ENDED]), own);
}

/** The most memory that a process ever held, in MiB. */
export function peakMemoryOf(pid) {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(kib) / 1024;
}

/** What a process holds now, in MiB: in all, of its own, and of files, such as the program itself. */
export function memoryOf(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const [all, own, files] = ['VmRSS', 'RssAnon', 'RssFile'].map(
    (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)[1]) / 1024,
  );
  return { all, own, files };
}

function statOf(pid) {
  try {
    // the name, in parentheses, may hold anything
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return undefined;
    throw error;
  }
}

function secondsIn(fields, places) {
  return places.reduce((sum, place) => sum + Number(fields?.[place] ?? 0), 0) / ticksPerSecond;
}
