#!/bin/sh
# The shared library exports exactly what tandem.h marks TD_API, its SONAME has the major version, and
# the library has no writable globals but those docs/STYLE.md names.  Prints TAP.
set -eu
lib=${TANDEM_BUILD_DIR:?}/libtandem.so
[ -f "$lib" ] || { echo "$lib was not built"; exit 1; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
status=0

verdict() { # verdict N NAME: a failure if $tmp/bad has lines
    if [ -s "$tmp/bad" ]; then
        sed 's/^/  /' "$tmp/bad"
        echo "not ok $1 - $2"
        status=1
    else
        echo "ok $1 - $2"
    fi
}

nm -D --defined-only "$lib" | awk '{ print $3 }' | sort >"$tmp/exported"
tr '\n' ' ' <"$TANDEM_SOURCE_DIR/include/tandem.h" | sed 's|/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/||g' |
    grep -o 'TD_API [^;(]*(' | sed 's/ *($//; s/.*[ *]//' | grep '^td_' | sort >"$tmp/declared"
comm -23 "$tmp/exported" "$tmp/declared" >"$tmp/bad"
verdict 1 "nothing is exported that tandem.h does not declare"
comm -13 "$tmp/exported" "$tmp/declared" >"$tmp/bad"
verdict 2 "all that tandem.h declares is exported"

objdump -p "$lib" | grep SONAME | grep -v 'libtandem\.so\.[0-9]\+$' >"$tmp/bad" || true
objdump -p "$lib" | grep -q SONAME || echo "no SONAME" >"$tmp/bad"
verdict 3 "the SONAME is libtandem.so.MAJOR"

# Written once before the first thread: the kernel table and the log sink.  base/alloc.c counts for
# the tests and has nothing in the product.
objdump -t "$TANDEM_BUILD_DIR/libtandem.a" | awk '
    /:     file format/ { file = $1; sub(/\.o:$/, "", file) }
    $0 ~ / O [.](data|bss|tbss|tdata)([.][^r][^ ]*|[.]r[^e][^ ]*)?\t/ { print file ": " $NF }
' | grep -v -e '^alloc\.c: ' -e '^log\.c: sink$' -e '^dispatch\.c: table$' >"$tmp/bad" || true
verdict 4 "no writable globals"
exit $status
