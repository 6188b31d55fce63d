import { prepare } from './prepare.mjs';

/** Kills everything that can be killed, and shows that no reward is lost: `npm run chaos -- --help`. */
prepare();
// not at the top: the packages may just have been installed
const { require: requireTypeScript } = await import('tsx/cjs/api');
requireTypeScript('../test/chaos/main.ts', import.meta.url);
