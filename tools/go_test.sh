#!/bin/bash
# Runs `GO test ARGUMENTS`, shows the packages and whatever failed, and closes with counts.
set -euo pipefail

go=$1
shift
mkdir -p build
log=build/go-test.log
status=0
"$go" test -v "$@" >"$log" 2>&1 || status=$?
# The log of a passing test is noise; that of a failing run is not.
if [ $status -ne 0 ]; then
    grep -vE '^\s*(=== (RUN|PAUSE|CONT|NAME)|--- (PASS|SKIP):)|^PASS$' "$log" || true
else
    grep -E '^(ok|FAIL|\?)\s' "$log" || true
fi
count() { grep -cE "^--- $1:" "$log" || true; }
echo "go test: $(count PASS) passed, $(count FAIL) failed, $(count SKIP) skipped"
exit $status
