#!/bin/sh
# Makes $VENV what requirements/dev.txt says, with this project in it; does nothing when it already is.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "$1" >&2
    exit 1
}

command -v "$PYTHON" >/dev/null || fail "PYTHON: expected a Python 3.11 or newer, found no $PYTHON"
version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "PYTHON: expected Python 3.11 or newer, was $version; try: make PYTHON=python3.12"
"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "PYTHON: expected the venv module, $PYTHON has none; on Debian: apt install python$version-venv"

wanted="$version $(pwd) $(cat requirements/dev.txt pyproject.toml | cksum)"
[ "$(cat "$VENV/ready" 2>/dev/null)" != "$wanted" ] || exit 0

found=$("$VENV/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)
echo "Installing into $VENV with Python $version ..." >&2
if [ "$found" = "$version" ]; then
    rm -f "$VENV/ready"
else
    "$PYTHON" -m venv --clear "$VENV"
fi
pip() {
    "$VENV/bin/python" -m pip --disable-pip-version-check "$@"
}
pip install --quiet --require-hashes --requirement requirements/dev.txt
pip install --quiet --no-deps --no-build-isolation --editable .
echo "$wanted" >"$VENV/ready"
