// Many clients in a process of their own, since each needs a descriptor at both ends: connects as often as it is told,
// sends the given beginning of a request on each connection, and tells how many stand and how many were closed.
import { connect } from 'node:net';
import { setInterval } from 'node:timers';

const [port, count, beginning] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4] ?? ''];
const PORTION = 250;
let [connected, closed, failed, answered] = [0, 0, 0, 0];

const tell = () => process.send({ connected, closed, failed, answered });

function open() {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let isOpen = false;
    socket.on('connect', () => {
      isOpen = true;
      connected += 1;
      if (beginning) socket.write(beginning);
      resolve();
    });
    socket.on('data', () => (answered += 1));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (isOpen) closed += 1;
      else failed += 1;
      resolve();
    });
  });
}

process.on('disconnect', () => process.exit());
for (let opened = 0; opened < count; opened += PORTION) {
  await Promise.all(Array.from({ length: Math.min(PORTION, count - opened) }, open));
}
tell();
setInterval(tell, 100);
