import { SetMetadata } from '@nestjs/common';

export const IS_PUBLIC = 'isPublic';

/** Opens a route to callers without credentials. Everything else is closed by the global guards. */
export const Public = () => SetMetadata(IS_PUBLIC, true);
