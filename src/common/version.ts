/** Clients send the prefix, the API's reference leaves it out: both answer. */
export const VERSION_PREFIX = '/v1';

/** The routes that carry a version. Health and documentation do not. In any case, as the router matches. */
export const VERSIONED_PATH = /^\/(client|admin|auth)(\/|$)/i;
