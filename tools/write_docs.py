"""Write the tables of the documents that follow from the code.

    python -m tools.write_docs

What stands between `<!-- NAME: begin -->` and
`<!-- NAME: end -->` is replaced, NAME being one of programs, flags, sources, recipes,
samplers, studies and published; everything else is left as it is. --check writes
nothing, and ends with exit status 1 where a page isn't current.
"""

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence

from absl import flags as absl_flags

import tools
from pipelines import files, sources, trust
from tools import flags, program
from tools.reproduction import rows
from tools.studies import catalogue
from vae_prod.latent import samplers

# The page of `docs/` on each program.
PAGES = {
    "make_faces": "tutorial",
    "convert_celeba": "converting",
    "verify_shards": "converting",
    "train": "training",
    "launch": "workers",
    "tune": "search",
    "generate": "generating",
    "encode": "generating",
    "fit_sampler": "generating",
    "fit_attributes": "generating",
    "evaluate": "evaluation",
    "study": "studies",
    "reproduce": "studies",
    "export": "export",
    "verify_export": "export",
    "serve_client": "serving",
    "build_ops": "reading",
    **{name: "speed" for name in tools.PROGRAMS if name.startswith("benchmark_")},
    "doctor": "speed",
    "write_docs": "contributing",
}
# Programs that take another one's flags beside their own.
FLAGS_OF = dict.fromkeys(("doctor", "tune", "study"), "train")
# What the head of a recipe says, a line each, after what it trains.
HEAD = ("data", "gives", "time", "memory", "command")


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    cells = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells).replace("  |", " |")


def flags_of(name: str) -> absl_flags.FlagValues:
    """Return the flags that a program defines."""
    values = absl_flags.FlagValues()
    importlib.import_module(f"tools.{name}").define(values)
    return values


def _programs() -> str:
    lines = []
    for name in tools.PROGRAMS:
        module = importlib.import_module(f"tools.{name}")
        text = module.__doc__.strip().splitlines()[0]
        lines.append([f"[`{name}`](docs/{PAGES[name]}.md)", text])
    return _table(["program", "what it does"], lines)


def _flags() -> str:
    return "\n\n".join(map(_flags_of_program, tools.PROGRAMS))


def _flags_of_program(name: str) -> str:
    values, other = flags_of(name), FLAGS_OF.get(name)
    shared = set(flags_of(other)) - {"data_dir", "run_dir"} if other else set()
    lines = []
    for flag in (values[name] for name in values if name not in shared):
        text, _, default = flags.describe(flag).partition(" (default: ")
        kind = flags.describe_values(flag).replace("|", "\\|")
        lines.append([f"`--{flag.name}={kind}`", default.removesuffix(")"), text])
    parts = [f"## {name}", f"On this program: [{PAGES[name]}]({PAGES[name]}.md)."]
    if lines:
        parts.append(_table(["flag", "default", "what it does"], lines))
    else:
        parts.append("It has no flags.")
    if other:
        parts.append(f"And [{other}](#{other})'s flags of model, training and data.")
    return "\n\n".join(parts)


def _sources() -> str:
    lines = [[kind.form, kind.text, ", ".join(kind.carries)] for kind in sources.KINDS]
    return _table(["`--source`", "what it is", "what it can carry"], lines)


def recipe_head(name: str) -> dict[str, str]:
    """Return what the comments at the head of a recipe say.

    They are sentences on what it trains, then a paragraph for each name in `HEAD`, as
    `# time: ...`.

    Returns:
        The paragraphs by name; what it trains under "".
    """
    text = (program.RECIPES / f"{name}.flags").read_text()
    head, current = {"": ""}, ""
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        line = line.removeprefix("#").strip()
        if found := re.match(rf"({'|'.join(HEAD)}): ", line):
            current, line = found[1], line[found.end() :]
        head[current] = f"{head.get(current, '')} {line}".strip()
    return head


def _recipes() -> str:
    parts = []
    for name in program.recipe_names():
        head = recipe_head(name)
        lines = [f"## {name}", "", head.pop(""), ""]
        lines += [f"- **{key}**: {text}" for key, text in head.items()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _samplers() -> str:
    lines = [[f"`{n}`", sampler.text] for n, sampler in samplers.SAMPLERS.items()]
    return _table(["`--kinds=`", "images of"], lines)


def _studies() -> str:
    studies = catalogue.STUDIES.values()
    lines = [[f"`{study.name}`", study.runs, study.description] for study in studies]
    return _table(["study", "looks at", "what it shows"], lines)


def _published() -> str:
    head = ["`--row=`", "model", "figure", "value", "published in", "recipe"]
    lines = []
    for name, row in rows.ROWS.items():
        recipe = f"`{row.recipe}`"
        value, source = f"{row.value:g}", row.source.partition(":")[0]
        figure = row.figure.name
        lines.append([f"`{name}`", row.title, figure, value, source, recipe])
    return _table(head, lines)


BLOCKS: dict[str, Callable[[], str]] = {
    "programs": _programs,
    "flags": _flags,
    "sources": _sources,
    "recipes": _recipes,
    "samplers": _samplers,
    "studies": _studies,
    "published": _published,
}


def written(text: str) -> str:
    """Return the text of a page with its blocks written anew."""
    for name, make in BLOCKS.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, has_begin, rest = text.partition(begin)
        _, has_end, after = rest.partition(end)
        if has_begin and has_end:
            text = f"{before}{begin}\n\n{make()}\n\n{end}{after}"
    return text


def define(values):
    """Define this program's flags."""
    flags.add(values, "root", ".", "The repository: a folder with README.md and docs/.")
    flags.add(values, "check", False, "Write nothing; say which pages aren't current.")


def _pages(root: str) -> list[str]:
    """Return the paths of all pages below the repository's root."""
    docs = os.path.join(root, "docs")
    if not os.path.isdir(docs):
        raise files.UserError(
            f"Expected README.md and docs/ in --root={root}, found no docs/. Run this "
            "in the repository, or mend the path."
        )
    names = sorted(name for name in os.listdir(docs) if name.endswith(".md"))
    return ["README.md", *(os.path.join("docs", name) for name in names)]


def main(values):
    """Write the pages that aren't current."""
    flags.require(values, "root")
    old = []
    for page in _pages(values.root):
        path = os.path.join(values.root, page)
        with trust.open_regular(path) as file:
            text = file.read().decode()
        if (new := written(text)) != text:
            old.append(page)
            if not values.check:
                files.write(path, new)
    if not values.check:
        print(f"{len(old)} pages written anew: {', '.join(old) or 'none'}.")
    elif old:
        raise files.UserError(
            f"Expected pages as the code has it, received others: {', '.join(old)}. "
            "Run python -m tools.write_docs."
        )


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()
