"""Build the C++ input op now, not at first use.

    python -m tools.build_ops

It goes to a cache of the user's (VAE_PROD_CACHE, or vae_prod in XDG_CACHE_HOME or
~/.cache) and is found there by every later run with the same TensorFlow. The exit
status is 1 when it can't be built or loaded; training then reads with TensorFlow's
own ops, slower.
"""

import sys
import time

from tools import program


def define(values):
    """Define this program's flags: none."""


def main(values):
    """Build the op, load it and say where it lies."""
    program.import_tensorflow()  # Not before: --help has answered by now.
    from pipelines.reading.native import build, loader

    path = build.library_path()
    there = build.is_sound(path)
    begun = time.monotonic()
    build.build()
    seconds = time.monotonic() - begun
    loader.available(required=True)
    how = "was there already" if there else f"built in {seconds:.1f} s"
    print(f"{path}: {how}; it loads.")


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()
