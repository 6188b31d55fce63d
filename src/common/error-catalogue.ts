/**
 * Every error a client can receive: its HTTP status and its default sentence.
 *
 * The codes are the wire contract. `docs/errors.md` explains each one to callers, and a test holds the two
 * together. Features throw `new ApiError(code)`; a code that is not listed here does not compile.
 */
export const ERROR_CATALOGUE = {
  INVALID_INPUT: { status: 400, message: 'The request is not valid. See details for the fields to correct.' },
  INVALID_REWARD: {
    status: 400,
    message:
      'A reward is {}, {"currency": code, "amount": n} or {code: n, ...}: at most 10 defined currencies, whole positive amounts.',
  },
  INVALID_EMAIL: { status: 400, message: 'This is not an e-mail address. Check its spelling.' },
  WEAK_PASSWORD: { status: 400, message: 'The password is too short. Use 8 to 200 characters.' },
  UNSUPPORTED_PROVIDER: {
    status: 400,
    message: 'This project does not offer this sign-in. Its developer sets the accepted audiences.',
  },
  SELF_REFERRAL: { status: 400, message: 'You cannot claim your own referral code.' },
  ALREADY_CLAIMED: {
    status: 400,
    message: 'You have already claimed this code. The existing claim is in details.claim.',
  },
  MAX_USES_REACHED: { status: 400, message: 'This referral code has been used as often as it may be.' },
  CLAIM_LIMIT_REACHED: {
    status: 400,
    message: 'You have claimed as many referral codes as this app allows.',
  },
  MISSING_API_KEY: { status: 401, message: "Send the project's client key in the X-Api-Key header." },
  INVALID_API_KEY: {
    status: 401,
    message: 'The X-Api-Key is unknown or deactivated. Check it, or create a new key.',
  },
  MISSING_SESSION: {
    status: 401,
    message: 'Send the user\'s session token as "Authorization: Bearer <token>".',
  },
  INVALID_TOKEN: {
    status: 401,
    message: 'The session token is expired, revoked or not of this project. Sign the user in again.',
  },
  INVALID_CREDENTIALS: { status: 401, message: 'E-mail and password do not match an account.' },
  FORBIDDEN: { status: 403, message: 'This kind of key may not call this route. Use a client key here.' },
  PROJECT_FORBIDDEN: { status: 403, message: 'This project is not yours, or not that of your key.' },
  SIGNUP_CLOSED: {
    status: 403,
    message: 'Sign-up is closed on this server. Ask its operator for an account.',
  },
  INVALID_CODE: { status: 404, message: 'There is no active referral code with this spelling.' },
  NOT_FOUND: { status: 404, message: 'There is nothing at this address.' },
  REQUEST_TIMEOUT: { status: 408, message: 'The request did not arrive in time. Send it again.' },
  CODE_EXISTS: {
    status: 409,
    message: 'Another code of this project has the same spelling. Choose another one.',
  },
  CURRENCY_EXISTS: { status: 409, message: 'This project already has a currency with this code.' },
  USER_EXISTS: {
    status: 409,
    message: 'This project already has a user who signs in like this. Log in instead.',
  },
  EMAIL_EXISTS: { status: 409, message: 'There is a developer with this e-mail. Log in instead.' },
  USER_ERASED: { status: 409, message: 'This user is erased, which cannot be undone.' },
  MAX_BALANCE_TOO_LOW: {
    status: 409,
    message: 'Balances stand above this maximum. Choose a higher one; details.highest_balance would fit.',
  },
  MAX_USES_TOO_LOW: {
    status: 409,
    message: 'The code has been used more often than this. Choose a higher max_uses, or deactivate the code.',
  },
  NOT_REPLAYABLE: {
    status: 409,
    message: 'Only dead and cancelled rewards are replayed. A pending one is tried on its own.',
  },
  NOT_CANCELLABLE: {
    status: 409,
    message: 'Only pending and dead rewards are cancelled. A granted one is in the ledger for good.',
  },
  PAYLOAD_TOO_LARGE: { status: 413, message: 'The body is larger than 16 kB. Send less.' },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    message: 'Send the body as application/json, in UTF-8, uncompressed.',
  },
  IDEMPOTENCY_MISMATCH: {
    status: 422,
    message: 'This Idempotency-Key was used with another body. Use a new key for a new request.',
  },
  RATE_LIMITED: { status: 429, message: 'Too many requests. Try again after Retry-After seconds.' },
  HEADERS_TOO_LARGE: {
    status: 431,
    message: 'The request headers are too large. Send fewer or shorter ones.',
  },
  RETRY_EXHAUSTED: { status: 500, message: 'No free referral code was found in 5 tries. Try again.' },
  CREATE_FAILED: { status: 500, message: 'The referral code could not be made. Try again.' },
  CLAIM_FAILED: {
    status: 500,
    message: 'The claim could not be completed. Try again: a retry cannot claim twice.',
  },
  FETCH_FAILED: { status: 500, message: 'The transactions could not be read. Try again.' },
  INTERNAL_ERROR: {
    status: 500,
    message: 'Something went wrong here. Try again, and report the request_id if it lasts.',
  },
  SERVICE_UNAVAILABLE: { status: 503, message: 'The service is not ready. Try again shortly.' },
} as const satisfies Record<string, { status: number; message: string }>;

export type ErrorCode = keyof typeof ERROR_CATALOGUE;
