"""The documents as tests read them: pages, blocks of code, commands, headings."""

import pathlib
import re
import shlex

import attrs

ROOT = pathlib.Path(__file__).parents[1]
PAGES = ("README.md", *sorted(f"docs/{p.name}" for p in ROOT.glob("docs/*.md")))
# What says of a block, or with `all` of a page's blocks, why nothing runs it from here.
_MARK = r"<!-- ({}(?:run by|not run: ).+?) -->\n"
_BLOCK = re.compile(
    rf"(?:{_MARK.format('')})?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
_OF_ALL = re.compile(_MARK.format("all "))
_PROGRAM = re.compile(r"(?:tools\.|vae-prod-)([\w-]+)")


@attrs.frozen
class Block:
    """A block of code.

    Attributes:
        language: What stands behind its first fence.
        text: What stands between them.
        mark: `run by tests/...` or `not run: ...`, with `all` in front where it is the
            page's; empty: it is to be run as it is.
    """

    language: str
    text: str
    mark: str


def read(page: str) -> str:
    """Return the text of a page, by its path from the root."""
    return (ROOT / page).read_text()


def blocks(page: str) -> list[Block]:
    """Return the blocks of code of a page."""
    text = read(page)
    of_all = _OF_ALL.search(text)
    mark = of_all[1] if of_all else ""
    return [Block(b[2], b[3], b[1] or mark) for b in _BLOCK.finditer(text)]


def commands(block: Block) -> list[list[str]]:
    """Return the words of each command of a block of shell.

    Of a block that isn't run from here, only of commands that name a program.
    """
    lines = block.text.replace("\\\n", " ").splitlines()
    lines = [line for line in lines if not block.mark or _PROGRAM.search(line)]
    words = (
        shlex.split(part, comments=True) for line in lines for part in line.split("&&")
    )
    return [command for command in words if command]


def programs(command: list[str]) -> list[tuple[str, list[str]]]:
    """Return the package's programs that a command names, each with its flags."""
    found = []
    for word in command:
        if name := _PROGRAM.fullmatch(word):
            found.append((name[1].replace("-", "_"), []))
        elif found:
            found[-1][1].append(word)
    return found


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", read(page)), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in kept}
