"""Names under which files and folders lie aside until they are whole.

    NAME.PID-HOST.tmp     what is written
    NAME.PID-HOST.old     what it replaces, between two renames

Whether a process lives can be seen on its own host alone. So what one of another host,
or container, left in a shared folder stays, and is named.

Nothing but Python's standard library is imported.
"""

import os
import re
import sys
from collections.abc import Iterator

_FORM = re.compile(r"(.+)\.(\d{1,9})-([A-Za-z0-9-]{1,32})\.(tmp|old)")


def host() -> str:
    """Return this machine's name, or this container's, as it stands in file names."""
    return re.sub(r"[^A-Za-z0-9-]", "-", os.uname().nodename)[:32] or "-"


def path(final: str, kind: str = "tmp", process: int = 0) -> str:
    """Return where a file or folder lies until it has its final path.

    Args:
        final: That path.
        kind: "tmp" or "old".
        process: The id of the process that writes it; 0: this one.
    """
    return f"{final.rstrip('/')}.{process or os.getpid()}-{host()}.{kind}"


def final_name(name: str) -> str:
    """Return the final name of what lies aside under a name; empty: it isn't aside."""
    match = _FORM.fullmatch(name)
    return match[1] if match else ""


def leftovers(final: str) -> Iterator[tuple[str, bool]]:
    """Yield what processes of this host that are gone have left aside for a path.

    Yields:
        Where it lies, and whether that is what was to be replaced.
    """
    folder, name = os.path.split(final.rstrip("/"))
    for entry in os.listdir(folder or "."):
        match = _FORM.fullmatch(entry)
        if not match or match[1] != name:
            continue
        found = os.path.join(folder, entry)
        if match[3] != host():
            print(
                f"left alone: {found} is of a process on {match[3]}; remove it if "
                "nothing there writes any more",
                file=sys.stderr,
            )
        elif int(match[2]) == os.getpid() or not lives(int(match[2])):
            yield found, match[4] == "old"


def lives(process: int) -> bool:
    """Say whether a process of this host is there."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # Another user's.
        return True
    return True
