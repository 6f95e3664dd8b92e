#!/usr/bin/env bash
# Installs what the tests need into .venv and runs the whole suite, on a machine with
# nothing but Python 3.11. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON="${PYTHON:-python3.11}"
command -v "$PYTHON" >/dev/null || PYTHON=python3
if ! .venv/bin/python -c '' 2>/dev/null; then
  "$PYTHON" -m venv --clear .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
# Threads of NumPy's matrix products would wait for each other among several workers.
export OPENBLAS_NUM_THREADS=1
# The tests of a class share what they set up: they go to one worker. Taken in the order
# of the folders, the long classes leave no worker alone at the end.
.venv/bin/python -m pytest -n "${TEST_WORKERS:-2}" --dist=loadscope \
  --no-loadscope-reorder "$@"
