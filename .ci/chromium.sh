# Install Debian's Chromium, if there is none and this machine lets us.
set -euo pipefail

if command -v chromium || [[ -n ${CHROMIUM:-} ]]; then
  exit 0
fi
if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
  echo "There is no Chromium, and only root on a Debian system can install it here." >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet
apt-get install --quiet --yes --no-install-recommends chromium
