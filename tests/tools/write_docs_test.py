"""The tables in the documents are those of the code, and recipes have their heads."""

import shlex

import tensorflow as tf
from absl.testing import parameterized

import tools
from tests import pages
from tests.tools import train_test
from tools import program as program_lib
from tools import train, write_docs


def _run(root, *argv):
    return train_test.run_program(write_docs, f"--root={root}", *argv)


class PagesTest(tf.test.TestCase, parameterized.TestCase):
    def test_pages_are_current(self):
        code, _, err = _run(pages.ROOT, "--check")
        self.assertEqual(code, 0, err)

    def test_only_what_is_not_current_is_written(self):
        folder = self.create_tempdir()
        begin, end = "<!-- samplers: begin -->", "<!-- samplers: end -->"
        readme = folder.create_file("README.md", f"before {begin} old {end} after")
        page = folder.create_file("docs/page.md", f"{begin} no end")
        code, _, err = _run(folder.full_path, "--check")
        self.assertEqual(code, 1)
        self.assertIn("received others: README.md. Run", err)
        self.assertIn(" old ", readme.read_text())
        code, out, err = _run(folder.full_path)
        self.assertEqual(code, 0, err)
        self.assertEqual(out, "1 pages written anew: README.md.\n")
        code, _, err = _run(folder.full_path, "--check")
        self.assertEqual(code, 0, err)
        self.assertRegex(readme.read_text(), r"(?s)^before .*`prior`.*\n<.*> after$")
        self.assertEqual(page.read_text(), f"{begin} no end")

    def test_elsewhere_it_is_refused(self):
        folder = self.create_tempdir().full_path
        code, _, err = _run(folder)
        self.assertEqual(code, 1)
        self.assertStartsWith(
            err, f"error: Expected README.md and docs/ in --root={folder}"
        )

    @parameterized.parameters(*tools.PROGRAMS)
    def test_every_program_has_a_page_that_names_it(self, program):
        page = f"docs/{write_docs.PAGES[program]}.md"
        self.assertRegex(pages.read(page), rf"\b{program}\b")

    def test_no_other_program_has_one(self):
        self.assertCountEqual(write_docs.PAGES, tools.PROGRAMS)

    def test_every_block_is_on_one_page(self):
        texts = [pages.read(page) for page in pages.PAGES]
        for name in write_docs.BLOCKS:
            marks = [text.count(f"<!-- {name}: begin -->") for text in texts]
            self.assertEqual(sum(marks), 1, name)


class RecipesTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*program_lib.recipe_names())
    def test_head_says_what_it_costs_and_gives(self, recipe):
        head = write_docs.recipe_head(recipe)
        self.assertEqual(tuple(head), ("", *write_docs.HEAD))
        for key, text in head.items():
            self.assertEndsWith(text, "`" if key == "command" else ".", key)
        # Figures and their epoch, a machine's processor; or that there are none.
        self.assertRegex(head["gives"], r"epochs?\b|ot measured")
        self.assertRegex(head["time"], r"cores|ot measured")
        self.assertRegex(head["memory"], r"GB|ot measured")
        words = shlex.split(head["command"].strip("`"))
        self.assertEqual(words[:3], ["python", "-m", "tools.train"])
        self.assertIn(f"--recipe={recipe}", words)
        program_lib.parse(train, words[3:])


if __name__ == "__main__":
    tf.test.main()
