#!/bin/sh
# Makes the peers' environments: `sh benchmarks/peers/setup.sh [rectools] [replay]`, both when none
# is named. They stay apart because a peer needs other versions of numpy than shoploom does.
# PYTHON chooses the interpreter, 3.11 to 3.13.
set -eu
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- rectools replay
for peer in "$@"; do
    if [ ! -f "$peer.txt" ]; then
        echo "setup.sh: expected rectools or replay, got '$peer'" >&2
        exit 2
    fi
    "${PYTHON:-python3}" -m venv --clear ".venv-$peer"
    ".venv-$peer/bin/python" -m pip install --quiet -r "$peer.txt"
    echo "made .venv-$peer"
done
