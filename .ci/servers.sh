# servers.sh NAME=URL...: see that each server answers; start a local one that has stopped; name those that do not.
set -euo pipefail

answers() {
  timeout 3 bash -c "exec 3<>/dev/tcp/$1/$2" 2>/dev/null
}

start() {
  case $1 in
    PostgreSQL) pg_ctlcluster --skip-systemctl-redirect "$(ls /etc/postgresql)" main start ;;
    Redis) redis-server --daemonize yes --bind 127.0.0.1 --port 6379 --save '' --appendonly no --dir "${TMPDIR:-/tmp}" ;;
    RabbitMQ) rabbitmq-server -detached ;;
  esac </dev/null >/dev/null 2>&1
}

missing=0
for server in "$@"; do
  name=${server%%=*}
  read -r host port < <(python3 -c '
import sys, urllib.parse
parts = urllib.parse.urlsplit(sys.argv[1])
defaults = {"postgres": 5432, "redis": 6379, "amqp": 5672}
print(parts.hostname or "127.0.0.1", parts.port or defaults[parts.scheme])' "${server#*=}")
  if ! answers "$host" "$port"; then
    echo "$name does not answer at $host:$port; starting it"
    start "$name" || true
    for _ in {1..60}; do
      answers "$host" "$port" && break
      sleep 1
    done
  fi
  if answers "$host" "$port"; then
    echo "$name answers at $host:$port"
  else
    echo "$name does not answer at $host:$port and could not be started" >&2
    missing=1
  fi
done
exit "$missing"
