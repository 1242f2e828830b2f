#!/bin/sh
# Plants one violation of every rule in a small tree and expects tools/check-layers and
# tools/check-style to find it; a clean tree must pass.  Prints TAP.
set -eu
tools=${TANDEM_SOURCE_DIR:?}/tools
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
n=0 status=0

clean_tree() {
    rm -rf "$tmp/tree"
    mkdir -p "$tmp/tree/include" "$tmp/tree/src/base" "$tmp/tree/src/text" "$tmp/tree/src/cli" \
        "$tmp/tree/src/kernel" "$tmp/tree/docs"
    cd "$tmp/tree"
    cp "$TANDEM_SOURCE_DIR/.clang-format" .
    echo 'int td_version(void);' >include/tandem.h
    echo 'int td_a(int x);' >src/base/a.h
    echo 'int td_b(int x);' >src/text/b.h
    printf '#include "base/a.h"\n\nint td_a(int x) { return x; }\n' >src/base/a.c
    printf '#include "text/b.h"\n\n#include "base/a.h"\n\nint td_b(int x) { return td_a(x); }\n' >src/text/b.c
    printf '#include "base/options.h"\n#include "cli/out.h"\n#include "tandem.h"\n' >src/cli/run.c
    echo '#define OUT 1' >src/cli/out.h
    echo '#define OPTIONS 1' >src/base/options.h
}

verdict() { # verdict NAME ok|bad
    n=$((n + 1))
    if [ "$2" = ok ]; then echo "ok $n - $1"; else
        echo "not ok $n - $1"
        cat "$tmp/out"
        status=1
    fi
}

passes() { # passes TOOL
    clean_tree
    if "$tools/$1" . >"$tmp/out" 2>&1; then verdict "$1 passes a clean tree" ok; else
        verdict "$1 passes a clean tree" bad
    fi
}

# finds TOOL PATTERN: what was planted makes TOOL fail, and a line of its output match.
finds() {
    if ! "$tools/$1" . >"$tmp/out" 2>&1 && grep -q "$2" "$tmp/out"; then
        verdict "$1 finds: $2" ok
    else
        verdict "$1 finds: $2" bad
    fi
    clean_tree
}

passes check-layers
echo '#include "text/b.h"' >>src/base/a.c
finds check-layers 'src/base/a.c:4: includes text/b.h'
echo '#include <text/b.h>' >>src/base/a.c
finds check-layers 'src/base/a.c:4: includes text/b.h'
echo '#include "../text/b.h"' >>src/base/a.c
finds check-layers 'includes ../text/b.h'
echo '#include "text/b.h"' >>src/cli/run.c
finds check-layers 'src/cli/run.c:4: includes text/b.h'
mkdir src/utils && echo 'int x;' >src/utils/x.c
finds check-layers "'utils' is not a layer"
echo 'int td_a2(void);' >src/text/a.h
finds check-layers 'the name a.h is taken twice'

passes check-style
echo 'const char *td_e(void) { return getenv("X"); }' >>src/base/a.c
finds check-style 'not ok .* getenv only'
echo 'void *td_m(void) { return malloc(1); }' >>src/base/a.c
finds check-style 'not ok .* allocation only'
echo 'void td_p(void) { printf("x"); }' >>src/base/a.c
finds check-style 'not ok .* does not print'
printf '#if 0\n#endif\n' >>src/base/a.c
finds check-style 'not ok .* no #if 0'
printf '__attribute__((target("avx2"))) int td_t(void);\n' >>src/base/a.c
finds check-style 'not ok .* no ISA flags'
echo 'add_compile_options(-O2 -mavx2)' >CMakeLists.txt
finds check-style 'not ok .* no ISA flags'
printf '\tint td_tab;\n' >>src/base/a.c
finds check-style 'not ok .* no tabs'
echo '/* TO''DO */' >>src/base/a.c
finds check-style 'not ok .* no tabs, trailing blanks'
yes 'int td_many(void);' | head -1001 >>src/base/a.c
finds check-style 'not ok .* files of at most'
{ echo 'void td_long(int *x) {'; yes '    ++*x;' | head -80; echo '}'; } >>src/base/a.c
finds check-style 'src/base/a.c:4: td_long has 82 lines'
{ echo 'void td_long(int *x) {'; yes '    ++*x;' | head -150; echo '}'; } >>src/kernel/k.c
finds check-style 'src/kernel/k.c:1: td_long has 152 lines'
echo 'size_t td_size(void);' >>src/base/a.h
finds check-style 'not ok .* headers compile alone'
echo 'typedef enum { TD_ONE } td_one;' >>src/base/a.h
finds check-style 'not ok .* headers compile alone'
echo 'const char *td_name = "TD_SECRET";' >>src/base/options.c && : >docs/OPTIONS.md
finds check-style 'TD_SECRET is not in docs'
if clang-format --version 2>/dev/null | grep -q 'version 14'; then
    echo 'int   td_layout ( void ) ;' >>src/base/a.c
    finds check-style 'not ok .* layout'
fi

# What the rules must leave alone: comments, strings, members, a reason given.
cat >>src/base/a.c <<'END'

/* malloc(1), getenv("X") and printf("x") in a comment. */
struct td_s {
    void (*free)(void *p);
};
void td_use(struct td_s *s, void *p) { s->free(p); }
const char *td_text(void) { return "malloc(1) printf(x) #if 0"; }
/* style: the C library allocates this one. */
void td_release(void *p) { free(p); }
END
if "$tools/check-style" . >"$tmp/out" 2>&1; then verdict "check-style leaves the rest alone" ok; else
    verdict "check-style leaves the rest alone" bad
fi
exit $status
