"""What the documents name is there: modules, definitions and files."""

import ast
import functools
import pathlib
import re

import tensorflow as tf
from absl.testing import parameterized

_ROOT = pathlib.Path(__file__).parents[1]
_DOCUMENTS = (
    "WORKSPACE.md",
    *sorted(f"docs/{p.name}" for p in _ROOT.glob("docs/*.md")),
)
_PACKAGES = ("pipelines", "vae_prod", "tools", "tests")
_NAME = re.compile(rf"`((?:{'|'.join(_PACKAGES)})(?:\.\w+)+)[`(]")
_FILE = re.compile(rf"`((?:{'|'.join(_PACKAGES)}|docs)/[\w./]+)`")


@functools.cache
def _definitions(path: pathlib.Path) -> set[str]:
    """Return what a module defines: `name`, and `Class.name` of members."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            members = [m for m in node.body if isinstance(m, ast.FunctionDef)]
            names |= {f"{node.name}.{member.name}" for member in members}
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def _is_there(name: str) -> bool:
    """Say whether a dotted name is a module, or is defined in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        place = _ROOT.joinpath(*parts[:length])
        path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if path.exists():
            rest = ".".join(parts[length:])
            return not rest or rest in _definitions(path)
    return False


class DocumentsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*_DOCUMENTS)
    def test_names_are_in_the_code(self, document):
        text = (_ROOT / document).read_text()
        missing = sorted({n for n in _NAME.findall(text) if not _is_there(n)})
        self.assertEmpty(missing)

    @parameterized.parameters(*_DOCUMENTS)
    def test_files_are_there(self, document):
        paths = set(_FILE.findall((_ROOT / document).read_text()))
        paths = {path for path in paths if "NAME" not in path}
        self.assertEmpty([path for path in paths if not (_ROOT / path).exists()])

    def test_what_is_not_there_is_noticed(self):
        self.assertTrue(_is_there("vae_prod.model.vae.VAE.train_step"))
        self.assertFalse(_is_there("vae_prod.model.vae.VAE.flies"))
        self.assertFalse(_is_there("vae_prod.objectives"))


if __name__ == "__main__":
    tf.test.main()
