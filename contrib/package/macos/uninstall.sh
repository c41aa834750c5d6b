#!/bin/sh
# Removes both programs of Tessera from a Mac; refuses while launchd starts one of them. Accounts and the farm's folder stay.
#
#   sudo ./uninstall.sh [--prefix DIR]      (usual: /usr/local)
set -eu

fail() {
    echo "error: $1" >&2
    exit 1
}

prefix=/usr/local
if [ "${1:-}" = --prefix ] && [ $# = 2 ]; then
    prefix=$2
elif [ $# -gt 0 ]; then
    fail "usage: sudo ./uninstall.sh [--prefix DIR]"
fi
dest=${DESTDIR:-}
[ -n "$dest" ] || [ "$(id -u)" = 0 ] || fail "run it with sudo"

for plist in "$dest"/Library/LaunchDaemons/tessera.*.plist "$dest"/Users/*/Library/LaunchAgents/tessera.worker.plist; do
    if [ -e "$plist" ]; then
        fail "$plist starts it; first: tessera worker uninstall --mode service --wait, or as that person --mode desktop"
    fi
done
rm -f "$dest$prefix/bin/tessera" "$dest$prefix/bin/tessera-maclaunch"
echo "removed; what is left: /Library/Application Support/Tessera, and the accounts _tessera and _tessera-job"
