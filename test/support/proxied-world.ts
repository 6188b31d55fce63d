import { expectInvariants } from './invariants';
import { TcpProxy } from './tcp-proxy';
import { cloneDatabase, pooled, startWorld, type World } from './world';

/** A world whose way to its database is a proxy; closing it looks at the invariants. */
export async function startProxiedWorld(): Promise<{
  world: World;
  proxy: TcpProxy;
  close: () => Promise<void>;
}> {
  const database = await cloneDatabase();
  const proxy = await TcpProxy.to(pooled(database.url));
  const { world, close } = await startWorld(proxy.url);
  return {
    ...{ world, proxy },
    close: async () => {
      await expectInvariants(world.db);
      await close();
      await proxy.down();
      await database.drop();
    },
  };
}
