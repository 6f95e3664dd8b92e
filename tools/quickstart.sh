#!/usr/bin/env bash
# The whole job on a machine with nothing but Python 3.11: install, draw faces, convert,
# train, export, generate. Everything goes to ./quickstart; running it again reuses what
# is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON="${PYTHON:-python3.11}"
command -v "$PYTHON" >/dev/null || PYTHON=python3
OUT=quickstart

say() { printf '\n== %s\n' "$*"; }
tool() { .venv/bin/python -m "tools.$@"; }

say "install into .venv"
if ! .venv/bin/python -c '' 2>/dev/null; then
  "$PYTHON" -m venv --clear .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check -e .

say "draw faces"
tool make_faces --out="$OUT/faces" --num_images=4096 --seed=1

say "convert them to TFRecords"
tool convert_celeba --source="$OUT/faces" --out="$OUT/records" --image_size=64

say "train a small VAE"
tool train --recipe=quickstart --data_dir="$OUT/records" --run_dir="$OUT/run" --resume

say "export a SavedModel"
if [ ! -e "$OUT/run/export/1" ]; then
  tool export --run_dir="$OUT/run"
fi

say "generate pictures"
tool generate --run_dir="$OUT/run" --kinds=prior,reconstructions,interpolation

cat <<END

Done.
  new faces:        $OUT/run/generated/prior.png
  reconstructions:  $OUT/run/generated/reconstructions_test.png
  SavedModel:       $OUT/run/export/1 (what it serves: MODEL_CARD.md in it)
  TensorBoard:      .venv/bin/tensorboard --logdir=$OUT/run/tensorboard
END
