import { hash, verify } from '@node-rs/argon2';
import { ApiError } from '../common/api-error';

const MIN_LENGTH = 8;
/** Longer ones only cost time to hash. */
const MAX_LENGTH = 200;

/** @throws ApiError WEAK_PASSWORD for fewer than 8 or more than 200 characters */
export function assertAcceptable(password: string): void {
  const { length } = [...password];
  if (length < MIN_LENGTH || length > MAX_LENGTH) throw new ApiError('WEAK_PASSWORD');
}

/** argon2id with the library's defaults (19 MiB, 2 passes), in the thread pool. */
export function hashPassword(password: string): Promise<string> {
  return hash(password);
}

/** What a wrong password costs must be paid for an unknown e-mail too, or the answer's time tells them apart. */
const hashOfNobody = hash('nobody has this password');

/** Whether the password is right. Takes equally long when there is nobody to compare with. */
export async function verifyPassword(
  password: string,
  passwordHash: string | null | undefined,
): Promise<boolean> {
  // too long for any password of ours, and still wrong when cut
  const attempt = [...password].slice(0, MAX_LENGTH + 1).join('');
  const matches = await verify(passwordHash ?? (await hashOfNobody), attempt);
  return matches && passwordHash != null;
}
