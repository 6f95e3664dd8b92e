"""What the documents say is so: names, files, links, flags and commands.

Names and files are in the code, links lead to pages and headings, flags are flags of a
program. Commands are run, page by page in one folder, on tiny data.
"""

import ast
import contextlib
import functools
import importlib
import os
import re

import tensorflow as tf
from absl.testing import parameterized

from tests import pages
from tests.tools import train_test
from tests.vae_prod.serving import tiny_exports
from tools import program as program_lib
from tools import write_docs

_DOCUMENTS = (*pages.PAGES, "WORKSPACE.md")
_PACKAGES = ("pipelines", "vae_prod", "tools", "tests")
_NAME = re.compile(rf"`((?:{'|'.join(_PACKAGES)})(?:\.\w+)+)[`(]")
_FILE = re.compile(
    rf"`((?:{'|'.join(_PACKAGES)}|docs|\.ci|\.assets)/[\w./]+|\w+\.ya?ml)`"
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FLAG = re.compile(r"(?<![\w-])--([a-z][\w-]*)")
# Flags of other programs that the pages name, outside of blocks of code.
_OTHERS_FLAGS = {
    *("require-hashes", "logdir", "ntasks", "enable_batching"),
    "rest_api_timeout_in_ms",
    "allow_version_labels_for_unavailable_models",
}
_MOST_WORDS = 1000  # Of the README.

# What makes each program small, after the flags that a page gives it.
_TINY = {
    "make_faces": ["--num_images=120", "--workers=1"],
    "convert_celeba": ["--image_size=16", "--workers=1"],
    "train": ["--filters=4,6", "--z_dim=3", "--batch_size=8", "--epochs=1"],
    "evaluate": ["--judge=gradients", "--recognise=none"],
}
# In this order: the first one makes what the others use.
_RUN = (
    "docs/tutorial.md",
    *(page for page in pages.PAGES if page != "docs/tutorial.md"),
)


@functools.cache
def _definitions(path) -> set[str]:
    """Return what a module defines: `name`, and `Class.name` of members."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            members = [m for m in node.body if isinstance(m, ast.FunctionDef)]
            names |= {f"{node.name}.{member.name}" for member in members}
        if isinstance(node, ast.If):  # What a package makes public.
            imports = [n for n in node.body if isinstance(n, ast.ImportFrom)]
            names |= {alias.asname for n in imports for alias in n.names}
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def _is_there(name: str) -> bool:
    """Say whether a dotted name is a module, or is defined in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        place = pages.ROOT.joinpath(*parts[:length])
        path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if path.exists():
            rest = ".".join(parts[length:])
            return not rest or rest in _definitions(path)
    return False


def _shell() -> list[tuple[str, pages.Block]]:
    """Return all blocks of shell, each with its page."""
    there = [(page, block) for page in pages.PAGES for block in pages.blocks(page)]
    return [(page, block) for page, block in there if block.language == "sh"]


class NamesTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*_DOCUMENTS)
    def test_names_are_in_the_code(self, document):
        names = set(_NAME.findall(pages.read(document)))
        self.assertEmpty(sorted(name for name in names if not _is_there(name)))

    @parameterized.parameters(*_DOCUMENTS)
    def test_files_are_there(self, document):
        paths = set(_FILE.findall(pages.read(document)))
        paths = {path for path in paths if "NAME" not in path}
        missing = [path for path in paths if not (pages.ROOT / path).exists()]
        self.assertEmpty(missing)

    def test_what_is_not_there_is_noticed(self):
        self.assertTrue(_is_there("vae_prod.model.vae.VAE.train_step"))
        self.assertFalse(_is_there("vae_prod.model.vae.VAE.flies"))
        self.assertFalse(_is_there("vae_prod.objectives"))

    @parameterized.parameters(*_DOCUMENTS)
    def test_links_lead_somewhere(self, document):
        for link in _LINK.findall(pages.read(document)):
            path, _, anchor = link.partition("#")
            if "://" in path:
                continue
            target = os.path.normpath(os.path.join(os.path.dirname(document), path))
            target = target if path else document
            self.assertTrue((pages.ROOT / target).exists(), link)
            if anchor:
                self.assertIn(anchor, pages.anchors(target), link)

    def test_every_page_is_found(self):
        names = {page.removeprefix("docs/") for page in pages.PAGES} - {"README.md"}
        in_site = re.findall(r"- ([\w/]+\.md)$", pages.read("mkdocs.yml"), re.MULTILINE)
        self.assertCountEqual(in_site, names)
        linked = set(_LINK.findall(pages.read("docs/index.md")))
        self.assertEqual(linked | {"index.md"}, names)

    def test_the_readme_is_short(self):
        self.assertLessEqual(len(pages.read("README.md").split()), _MOST_WORDS)


class FlagsTest(tf.test.TestCase, parameterized.TestCase):
    def test_commands_have_flags_that_programs_take(self):
        for page, block in _shell():
            for command in pages.commands(block):
                for name, argv in pages.programs(command):
                    argv = [flag for flag in argv if "=search/best.flags" not in flag]
                    with self.subTest(page=page, command=command):
                        program = importlib.import_module(f"tools.{name}")
                        program_lib.parse(program, argv)

    def test_flags_in_the_text_are_flags_of_a_program(self):
        known = {name for p in write_docs.PAGES for name in write_docs.flags_of(p)}
        known |= {"help", "version", "recipe", "flagfile"} | _OTHERS_FLAGS
        for page in pages.PAGES:
            text = re.sub(r"^```.*?^```$", "", pages.read(page), flags=re.M | re.S)
            named = {name.rstrip("_") for name in _FLAG.findall(text)}
            begun = {name for name in named if any(k.startswith(name) for k in known)}
            self.assertEmpty(named - begun, page)


class CommandsTest(tf.test.TestCase):
    def test_the_readme_has_the_tutorials_commands(self):
        (block,) = [b for b in pages.blocks("README.md") if not b.mark]
        lines = set(pages.read("docs/tutorial.md").splitlines())
        self.assertContainsSubset(block.text.splitlines(), lines)

    def test_what_is_said_to_run_others_names_them(self):
        for page, block in _shell():
            found = re.match(r"(all )?run by (\S+?)(?::|$)", block.mark)
            if not found:
                continue
            test = pages.read(found[2])
            for command in [] if found[1] else pages.commands(block):
                for name, _ in pages.programs(command):
                    self.assertIn(name, test, f"{page}: {command}")

    def test_commands_run(self):
        done = []
        folder = self.create_tempdir().full_path
        with contextlib.chdir(folder), tiny_exports.little("generate"):
            for page in _RUN:
                for block in pages.blocks(page):
                    self._run(page, block, done)
        self.assertGreater(len(done), 10)

    def _run(self, page: str, block: pages.Block, done: list[list[str]]) -> None:
        """Run a block, but for what has been run already, by another page."""
        if block.mark or page == "README.md":
            return
        if block.language == "python":
            exec(compile(block.text, page, "exec"), {})
        elif block.language == "sh":
            for command in pages.commands(block):
                self.assertEqual(command[:2], ["python", "-m"], f"{page}: mark it.")
                if command not in done:
                    done.append(command)
                    ((name, argv),) = pages.programs(command)
                    program = importlib.import_module(f"tools.{name}")
                    argv = [*argv, *_TINY.get(name, ())]
                    code, _, err = train_test.run_program(program, *argv)
                    self.assertEqual(code, 0, f"{page}: {command}: {err}")


if __name__ == "__main__":
    tf.test.main()
