#!/bin/bash
# Redis in a container: a password from a secret, nothing on disk.
set -euo pipefail
umask 077
cat >/tmp/redis.conf <<CONF
bind 0.0.0.0
requirepass $(cat /run/secrets/redis)
save ""
appendonly no
dir /tmp
CONF
exec redis-server /tmp/redis.conf
