#!/bin/sh
# tools/run-tests on programs that pass, fail, skip, crash, hang and lie: what it counts is known.
# Prints TAP.
set -eu
tool=${TANDEM_SOURCE_DIR:?}/tools/run-tests
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
n=0 status=0

program() { # program NAME LABEL: its script is standard input
    { echo '#!/bin/sh' && cat; } >"$1"
    chmod +x "$1"
    printf 'add_test(%s "%s")\nset_tests_properties(%s PROPERTIES LABELS "%s")\n' \
        "$1" "$tmp/$1" "$1" "$2" >>CTestTestfile.cmake
}

expect() { # expect LINE RUN-TESTS-ARGUMENTS...: the last line, and an exit status that fits it
    line=$1
    shift
    n=$((n + 1))
    if "$tool" . "$@" >out 2>&1; then result=good; else result=bad; fi
    case $line in *", 0 failed"*) wanted=good ;; *) wanted=bad ;; esac
    if [ "$(tail -1 out)" = "$line" ] && [ $result = $wanted ]; then echo "ok $n - $* gives $line"; else
        sed 's/^/  /' out
        echo "not ok $n - $* gives $line"
        status=1
    fi
}

says() { # says TEXT: the run before said it
    n=$((n + 1))
    if grep -qF "$1" out; then echo "ok $n - says: $1"; else
        sed 's/^/  /' out
        echo "not ok $n - says: $1"
        status=1
    fi
}

program cm_good unit <<'END'
echo "[ RUN      ] one"; echo "[       OK ] one"; echo "[ RUN      ] two"; echo "no data here"
echo "[  SKIPPED ] two"
END
program cm_bad unit <<'END'
echo "[ RUN      ] one"; echo "[  FAILED  ] one"; echo "[  FAILED  ] one"; exit 1
END
program cm_crash unit <<'END'
echo "[ RUN      ] one"; echo "[       OK ] one"; echo "[ RUN      ] two"; kill -SEGV $$
END
program cm_leak unit <<'END'
echo "[ RUN      ] one"; echo "[       OK ] one"; exit 23
END
program tap oom <<'END'
echo "ok 1 - a"; echo "not ok 2 - b"; echo "ok 3 - c # SKIP no such CPU"; exit 1
END
program counts oom <<'END'
echo "skipped: avx512"; echo "12 passed, 0 failed, 1 skipped"
END
program silent unit <<'END'
exit 0
END
program skips unit <<'END'
echo "skipped: no network"; exit 77
END
program hangs unit <<'END'
exec sleep 100
END
program model real <<'END'
test -n "$TANDEM_TEST_SMOLLM2" && echo "ok 1 - has a model"
END
echo 'add_test(ghost /nowhere/ghost)' >>CTestTestfile.cmake

expect "1 passed, 0 failed, 1 skipped" --match cm_good
says "skipped: cm_good: two (no data here)"
expect "0 passed, 1 failed, 0 skipped" --match cm_bad
says "failed:  cm_bad: one"
expect "1 passed, 1 failed, 0 skipped" --match cm_crash
says "failed:  cm_crash: two: crashed here"
expect "1 passed, 1 failed, 0 skipped" --match cm_leak
says "failed:  cm_leak: exit status 23"
expect "13 passed, 1 failed, 2 skipped" --label oom
says "skipped: counts: avx512"
says "skipped: tap: c (no such CPU)"
expect "1 passed, 0 failed, 0 skipped" --match silent
expect "0 passed, 0 failed, 1 skipped" --match skips
expect "0 passed, 1 failed, 0 skipped" --match hangs --timeout 1
says "failed:  hangs: time-out after 1 s"
expect "0 passed, 1 failed, 0 skipped" --match ghost
says "failed:  ghost: was not built"
expect "0 passed, 1 failed, 0 skipped" --match nothing_like_it
says "failed:  no test was selected"
export TANDEM_TEST_SMOLLM2=/dev/null TANDEM_TEST_GEMMA3=/dev/null
expect "1 passed, 0 failed, 0 skipped" --label real --models
expect "17 passed, 6 failed, 4 skipped" --timeout 1
exit $status
