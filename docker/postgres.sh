#!/bin/bash
# PostgreSQL in a container: makes its data folder on the first start, with a password from a secret, then becomes the server.
# Arguments: a database to make, or - for none; and settings as `-c name=value`.
set -euo pipefail
: "${PGDATA:?}" "${OWNER:?}" "${PASSWORD_FILE:?}"
database=${1:?the name of a database, or -}
shift
if [ ! -e "$PGDATA" ]; then
  new=$PGDATA.new # under its name only when it is complete
  rm -rf "$new"
  initdb --pgdata="$new" --username="$OWNER" --pwfile="$PASSWORD_FILE" --auth=scram-sha-256 --encoding=UTF8 --locale=C \
    --no-instructions
  echo "host all all all scram-sha-256" >>"$new/pg_hba.conf"
  if [ "$database" != - ]; then
    echo "CREATE DATABASE \"$database\";" | PGDATA=$new postgres --single -j postgres >/dev/null
  fi
  mv "$new" "$PGDATA"
fi
exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp -c timezone=UTC -c log_timezone=UTC "$@"
