#!/bin/bash
# Runs `GO test ARGUMENTS`, shows the packages and the logs of tests that failed, and closes with counts.
set -euo pipefail

go=$1
shift
mkdir -p build
log=build/go-test.log
status=0
"$go" test -v "$@" >"$log" 2>&1 || status=$?

# A test's lines are held back until it is known how it ended; those of a panic never end, and are shown.
awk '
    /^=== RUN / && $3 !~ /\// { printf "%s", held; held = "" }
    /^=== (RUN|PAUSE|CONT|NAME) / { inside = 1; next }
    /^--- (PASS|SKIP): / { held = ""; inside = 0; next }
    /^ +--- (PASS|SKIP): / { next }
    /^--- FAIL: / { printf "%s%s\n", held, $0; held = ""; inside = 0; next }
    /^(ok|FAIL|\?)[ \t]/ { printf "%s%s\n", held, $0; held = ""; inside = 0; next }
    inside { held = held $0 "\n"; next }
    $0 != "PASS" && $0 != "FAIL"
    END { printf "%s", held }' "$log"

count() { grep -cE "^--- $1:" "$log" || true; }
echo "go test: $(count PASS) passed, $(count FAIL) failed, $(count SKIP) skipped"
exit $status
