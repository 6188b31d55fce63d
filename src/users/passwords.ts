import { hash, verify } from '@node-rs/argon2';

export const PASSWORD_MIN_LENGTH = 8;
/** Longer ones only cost time to hash. */
export const PASSWORD_MAX_LENGTH = 200;

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
  const matches = await verify(passwordHash ?? (await hashOfNobody), password);
  return matches && passwordHash != null;
}
