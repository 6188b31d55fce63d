#!/bin/sh
# Makes the secrets that compose.yaml mounts, those that are not there yet: SESSION_SECRET and POSTGRES_PASSWORD as the
# environment gives them, else at random. The files can be read by everybody, since the containers run under numbers of
# their own; nobody but you can reach them through their folder.
set -eu

folder="$(dirname "$0")/secrets"
mkdir -p "$folder"
chmod 700 "$folder"

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
keep() { # NAME CONTENT
  [ -s "$folder/$1" ] && return
  printf '%s\n' "$2" > "$folder/$1"
  chmod 444 "$folder/$1"
}

keep postgres-password "${POSTGRES_PASSWORD:-$(random)}"
password="$(cat "$folder/postgres-password")"
case "$password" in *[!A-Za-z0-9._~-]*)
  echo 'POSTGRES_PASSWORD becomes a part of a URL: take letters, digits, and . _ ~ - only.' >&2
  rm "$folder/postgres-password"
  exit 1 ;;
esac
keep session-secret "${SESSION_SECRET:-$(random)}"
keep database-url "postgres://amba:$password@pgbouncer:6432/amba"
keep migration-url "postgres://amba:$password@postgres:5432/amba"
keep pgbouncer-users "\"amba\" \"$password\""
