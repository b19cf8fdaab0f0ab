#!/bin/sh
# Makes .venv, or brings it up to date: Python 3.12 or 3.13, what requirements.txt pins, and hbutils.
# Called by make. PYTHON names the interpreter to look at first (python3 unless told otherwise).
set -eu
cd "$(dirname "$0")/.."

stamp=.venv/.complete # written last: an environment without it was interrupted, and is made anew
python=${PYTHON:-python3}
needed="Python 3.12 or 3.13 is needed, but none was found and none could be fetched: install one"
needed="$needed (https://www.python.org/downloads/) and run the command again"

say() { echo "make_env: $*" >&2; }
suits() { "$1" -c 'import sys; sys.exit(not (3, 12) <= sys.version_info < (3, 14))' 2>/dev/null; }

# The uv on the PATH, or else one from PyPI that is thrown away afterwards.
find_uv() {
    uv=uv
    "$uv" --version >/dev/null 2>&1 && return
    bootstrap=$(mktemp -d)
    trap 'rm -rf "$bootstrap"' EXIT
    trap 'exit 130' INT TERM
    pinned=$(grep '^uv==' requirements.txt)
    uv=$bootstrap/bin/uv
    # Debian's python3 comes without venv, others come without pip: one of the two will do.
    { "$python" -m venv "$bootstrap" && "$bootstrap/bin/python" -m pip install --quiet "$pinned"; } >/dev/null 2>&1 ||
        "$python" -m pip install --quiet --target "$bootstrap" "$pinned" >/dev/null 2>&1
    "$uv" --version >/dev/null 2>&1
}

start=$(date +%s)
usable=no
[ -f "$stamp" ] && suits .venv/bin/python && usable=yes
rm -f "$stamp"
if find_uv; then
    if [ "$usable" = no ]; then
        say "making .venv"
        # A python3 that suits is taken as it is; otherwise uv looks further, and fetches one if it must.
        suits "$python" && version=$(command -v "$python") || version='>=3.12,<3.14'
        "$uv" venv --quiet --clear --python "$version" .venv 2>/dev/null || { say "$needed"; exit 1; }
    fi
    say "installing what requirements.txt pins"
    # Compiled now, by all cores: where nothing may be written later, every import would compile again.
    "$uv" pip sync --quiet --compile-bytecode --python .venv/bin/python requirements.txt
    "$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
elif suits "$python"; then
    say "uv could not be installed: using venv and pip, which take longer"
    "$python" -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --requirement requirements.txt
    .venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
else
    say "$needed"
    exit 1
fi
touch "$stamp"
say "$(.venv/bin/python --version) in .venv, ready after $(($(date +%s) - start)) s"
