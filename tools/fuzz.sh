#!/bin/bash
# Runs every fuzz target of the Go packages for TIME each (a duration of go test's): tools/fuzz.sh GO TIME [PATTERN].
# What fails is kept by go test under the package's testdata/fuzz, where every later `go test` tries it again.
set -euo pipefail

go=$1 time=$2 pattern=${3:-.}
status=0 count=0
while IFS=: read -r file target; do
    [[ $target =~ $pattern ]] || continue
    package=./$(dirname "$file")
    echo "==== $target $package"
    "$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" | tail -n 4 || status=1
    count=$((count + 1))
done < <(grep -rhoH --include='*_test.go' -E '^func Fuzz[A-Za-z0-9_]+' golens kernels pybind | sed 's/func //' | sort)
echo "fuzz: $count targets, $time each"
exit $status
