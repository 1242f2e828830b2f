#!/bin/sh
# Installs into a temporary DESTDIR and builds a program against what lies there, with nothing but
# pkg-config: once with the shared library, once with the static one.  Prints TAP.
set -eu
build=${TANDEM_BUILD_DIR:?}
cc=${TANDEM_CC:-cc}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0 status=0

try() { # try NAME COMMAND...
    n=$((n + 1))
    name=$1
    shift
    if "$@" >"$tmp/out" 2>&1; then echo "ok $n - $name"; else
        sed 's/^/  /' "$tmp/out"
        echo "not ok $n - $name"
        status=1
    fi
}

DESTDIR=$tmp/root cmake --install "$build" --prefix /opt/td >"$tmp/out" 2>&1 || {
    cat "$tmp/out"
    exit 1
}
prefix=$tmp/root/opt/td
pc=$(dirname "$(find "$prefix" -name tandem.pc)")
libdir=$(dirname "$pc")
export PKG_CONFIG_PATH="$pc"

cat >"$tmp/hello.c" <<'END'
#include <stdio.h>
#include <tandem.h>
int main(void) { return puts(td_status_text(TD_OK)) < 0; }
END

try "header" test -f "$prefix/include/tandem.h"
try "licence" test -f "$(find "$prefix" -name LICENSE)"
try "pkg-config knows the version" pkg-config --atleast-version=0.1 tandem
# shellcheck disable=SC2046  # flags are words
try "links with the shared library" "$cc" -Wall -Werror "$tmp/hello.c" -o "$tmp/shared" \
    $(pkg-config --cflags --libs tandem)
try "runs with the shared library" env LD_LIBRARY_PATH="$libdir" "$tmp/shared"
try "needs it by its SONAME" sh -c "objdump -p '$tmp/shared' | grep -q 'NEEDED *libtandem.so.[0-9]*$'"
static=$(pkg-config --static --libs tandem | sed 's/-ltandem/-l:libtandem.a/')
# shellcheck disable=SC2046,SC2086
try "links with the static library" "$cc" -Wall -Werror "$tmp/hello.c" -o "$tmp/static" \
    $(pkg-config --cflags tandem) $static
try "runs with the static library" "$tmp/static"
if [ -x "$build/tandem" ]; then
    try "the command is installed" test -x "$prefix/bin/tandem"
fi
exit $status
