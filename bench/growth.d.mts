import type { Client } from 'pg';

type Tell = (step: string) => void;

export const FIRST_GROWN: number;
export function grow(
  client: Client,
  project: { projectId: string; users: number },
  tell?: Tell,
): Promise<void>;
export function owe(
  client: Client,
  project: { projectId: string; users: number; claims: number },
  tell?: Tell,
): Promise<void>;
