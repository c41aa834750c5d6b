#!/bin/sh
# Puts both programs of Tessera where only root can write, on a Mac. It starts nothing: the last lines say what does.
#
#   sudo ./install.sh [--prefix DIR]      (usual: /usr/local)
#
# With DESTDIR the files go below that folder, for those who make packages of their own (pkgbuild --root "$DESTDIR").
set -eu

fail() {
    echo "error: $1" >&2
    exit 1
}

prefix=/usr/local
while [ $# -gt 0 ]; do
    case $1 in
    --prefix)
        [ $# -ge 2 ] || fail "--prefix needs a folder"
        prefix=$2
        shift 2
        ;;
    -h | --help)
        sed -n '2,7s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) fail "\"$1\" is no option here; ./install.sh --help" ;;
    esac
done
case $prefix in
/*) ;;
*) fail "the prefix must begin with /: $prefix" ;;
esac

here=$(cd "$(dirname "$0")" && pwd)
dest=${DESTDIR:-}
if [ -z "$dest" ]; then
    [ "$(uname -s)" = Darwin ] || fail "these programs are for macOS"
    [ "$(uname -m)" = arm64 ] || fail "these programs are for Macs with Apple's own processors"
    [ "$(id -u)" = 0 ] || fail "only root can put programs where nobody else can change them; run it with sudo"
fi

bin=$dest$prefix/bin
mkdir -p "$bin"
for name in tessera tessera-maclaunch; do
    [ -f "$here/bin/$name" ] || fail "$here/bin/$name is missing; unpack all of the archive"
    # Whole under another name first: what runs keeps the old one.
    new=$bin/.$name.new$$
    cp "$here/bin/$name" "$new"
    chmod 0755 "$new"
    if [ "$(id -u)" = 0 ]; then
        chown 0:0 "$new"
    fi
    if [ -z "$dest" ]; then
        # What a browser has marked is not started. There may be no mark.
        xattr -d com.apple.quarantine "$new" 2>/dev/null || true
    fi
    mv -f "$new" "$bin/$name"
    echo "$prefix/bin/$name"
done

cat <<END
Nothing was started, and what runs goes on with the old programs.
  as a person:   tessera join --desktop STRING && tessera worker install --mode desktop
  as a service:  sudo tessera worker install --mode service, then sudo tessera join STRING, and install again
END
