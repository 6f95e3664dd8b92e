"""Names of splits as data sets spell them: of folders, files, arrays and values."""

import re

WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "t10k"), "test"),
}
_BORDERS = re.compile(r"[-_. ]+")


def of_word(word: str) -> str | None:
    """Return the split that a word names, in any case, if it is one of `WORDS`."""
    return WORDS.get(word.strip().lower())


def of_name(name: str) -> str | None:
    """Return the split that a name speaks of: `x_val`, `train-00000-of-00003`."""
    named = (of_word(part) for part in _BORDERS.split(name))
    return next(filter(None, named), None)


def of_path(path: str) -> str | None:
    """Return the split that a path speaks of: its last part, or else a folder."""
    *folders, name = path.split("/")
    return of_name(name) or of_folders(folders)


def of_folders(folders: list[str]) -> str | None:
    """Return the split that the innermost folder of such a name stands for."""
    return next(filter(None, map(of_word, reversed(folders))), None)
