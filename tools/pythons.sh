#!/bin/sh
# Prints the path of each Python that this project supports and that really runs here, oldest first.
# A command on PATH may be a version manager's stand-in for something not selected: it counts only if it runs.
# With --default: one interpreter only, python3 when it will do.
set -eu

supported="3.11 3.12 3.13"

# probe COMMAND VERSION: prints the interpreter behind the command if it is that version and can build extensions
probe() {
    "$1" - "$2" 2>/dev/null <<'PY'
import ensurepip, os, sys, sysconfig, venv

version = "%d.%d" % sys.version_info[:2]
header = os.path.join(sysconfig.get_path("include"), "Python.h")
if version not in sys.argv[1].split() or not os.path.exists(header):
    sys.exit(1)
print(os.path.join(sys.base_exec_prefix, "bin", "python" + version) if sys.prefix != sys.base_prefix else sys.executable)
PY
}

# managed VERSION: the same for an interpreter that pyenv has but has not selected
managed() {
    command -v pyenv >/dev/null 2>&1 || return 1
    newest=$(pyenv versions --bare 2>/dev/null | grep "^$1\.[0-9]*$" | sort -t. -k3 -n | tail -n 1) || return 1
    [ -n "$newest" ] && PYENV_VERSION=$newest probe "python$1" "$1"
}

if [ "${1:-}" = --default ] && probe python3 "$supported"; then
    exit 0
fi
found=0
for version in $supported; do
    if probe "python$version" "$version" || managed "$version"; then
        found=1
        [ "${1:-}" != --default ] || exit 0
    fi
done
if [ $found = 0 ]; then
    echo "no usable Python found: one of $supported is needed, with its headers (Python.h) and venv" >&2
    exit 1
fi
