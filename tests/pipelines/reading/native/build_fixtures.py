"""A program that stands for a compiler."""

import os

# Counts its calls, takes its time and writes in two goes.
_SLOW = """\
#!/bin/sh
echo call >> "{calls}"
while [ "$1" != "-o" ]; do shift; done
printf half > "$2"
sleep {seconds}
printf whole >> "$2"
"""


def compiler(folder: str, seconds: float = 0.0, script: str = "") -> str:
    """Write the program; return its path.

    Args:
        folder: Where it goes, and `calls`, which has a line for each call.
        seconds: How long it takes.
        script: Another script, in place of one that writes "halfwhole".
    """
    path = os.path.join(folder, "compiler")
    calls = os.path.join(folder, "calls")
    with open(path, "w") as file:
        file.write(script or _SLOW.format(calls=calls, seconds=seconds))
    os.chmod(path, 0o755)
    return path
