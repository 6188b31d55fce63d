/** Who administers, and from where, as the audit log names them. */
export interface Actor {
  kind: 'developer' | 'personal_access_token' | 'server_key' | 'command_line';
  /** The developer's id, or the server key's; null on the command line. */
  id: string | null;
  /** A developer's e-mail, the shown prefix of a key, or the operating system's user. */
  name: string;
  address: string | null;
  requestId: string | null;
}

/** A developer who is signed in. */
export interface Developer {
  id: string;
  email: string;
}
