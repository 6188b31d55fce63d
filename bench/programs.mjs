import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** The processes of a measurement: servers, and what makes the load. */

const root = join(import.meta.dirname, '..');
const running = new Set();
// whatever ends the measurement, nobody is left behind
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/**
 * Starts a server that says its address when it serves.
 *
 * @param file below the root of the repository
 * @param env beside the environment of this process; what is undefined is left out
 * @param how `nodeOptions`, what node itself is started with, and whether it `isAsked`: what they load answers messages
 */
export async function startServer(file, env, { nodeOptions = [], isAsked = false } = {}) {
  const child = spawn(process.execPath, [...nodeOptions, join(root, file)], {
    env: { ...process.env, NODE_ENV: 'production', HOST: '127.0.0.1', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit', ...(isAsked ? ['ipc'] : [])],
  });
  running.add(child);
  const url = await new Promise((resolve, reject) => {
    let said = '';
    child.stdout.on('data', (chunk) => {
      said += chunk;
      const found = /http:\/\/[\w.]+:\d+/.exec(said)?.[0];
      if (found === undefined) return;
      // a line for each request follows, which somebody has to read
      child.stdout.removeAllListeners('data').resume();
      resolve(found);
    });
    child.once('exit', () => reject(new Error(`${file} did not start: ${said}`)));
  });
  return { url, pid: child.pid, child, ...(isAsked && { ask: askerOf(file, child) }) };
}

/** Ends a process at once, if it still runs, but lets it finish what it does. */
export async function stop(child) {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGINT');
  await once(child, 'exit');
  running.delete(child);
}

/** Ends all of them. */
export async function stopAll() {
  await Promise.all([...running].map(stop));
}

/** A process that answers each message with one of its own, in turn. */
export function startWorker(file) {
  const child = fork(join(root, file));
  running.add(child);
  return { child, ask: askerOf(file, child), pid: child.pid };
}

function askerOf(file, child) {
  return (message) =>
    new Promise((resolve, reject) => {
      const onExit = () => reject(new Error(`${file} ended`));
      child.once('exit', onExit);
      child.once('message', (answer) => {
        child.off('exit', onExit);
        if (answer.error === undefined) resolve(answer);
        else reject(new Error(answer.error));
      });
      // without a callback, a process that has ended would end this one
      child.send(message, (error) => error && onExit());
    });
}
