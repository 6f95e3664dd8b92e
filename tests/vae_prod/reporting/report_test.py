import html.parser
import os
import re

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from vae_prod.reporting import image_grids, report

_VOID = {"meta", "img"}
_HOSTILE = '<script>alert("x")</script> & "so" \'on\''


def _png(height=4, width=6) -> bytes:
    return image_grids.png_bytes(np.zeros((height, width, 3), np.uint8))


class _Page(html.parser.HTMLParser):
    """A page's elements, after a look whether all that open are closed in turn."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def _report(text="plain") -> report.Report:
    parts = [
        report.Text(text),
        report.Verdict(text),
        report.Code(text),
        report.Table([text, "value"], [[text, 1.5], ["other", text]], text),
        report.Picture("grid", _png(), text),
    ]
    headings = ("One part", "Two", "Three & more", "Four")
    return report.Report(text, text, [report.Section(h, parts) for h in headings])


def _page_of(part) -> str:
    return report.Report("t", "s", [report.Section("One", [part])]).html()


class ReportTest(tf.test.TestCase, parameterized.TestCase):
    def test_is_one_file_without_scripts_or_network(self):
        text = _report().html()
        page = _Page(text)
        self.assertEmpty(page.all("script"))
        self.assertEmpty(page.all("link"))
        self.assertNotRegex(text, r"https?:|@import|url\(")
        policy = [m["content"] for m in page.all("meta") if "http-equiv" in m]
        self.assertIn("default-src 'none'", policy[0])
        for image in page.all("img"):
            self.assertStartsWith(image["src"], "data:image/png;base64,")

    def test_what_stands_in_it_stays_text(self):
        page = _Page(_report(_HOSTILE).html())
        self.assertEmpty(page.all("script"))
        text = "".join(page.texts)
        self.assertEqual(text.count(_HOSTILE), 3 + 4 * 8)
        self.assertEqual({i["alt"] for i in page.all("img")}, {_HOSTILE})

    def test_is_made_for_phone_and_paper(self):
        text = _report().html()
        viewport = [m["content"] for m in _Page(text).all("meta") if "name" in m]
        self.assertEqual(viewport, ["width=device-width, initial-scale=1"])
        for rule in ("@media print", "@media (max-width", "max-width: 100%"):
            self.assertIn(rule, text)

    def test_contents_lead_to_the_sections(self):
        page = _Page(_report().html())
        links = [link["href"] for link in page.all("a")]
        self.assertEqual(links, [f"#{s['id']}" for s in page.all("section")])
        self.assertEqual(links[2], "#three-more")
        short = report.Report("t", "s", [report.Section("One", [])])
        self.assertEmpty(_Page(short.html()).all("nav"))

    def test_pictures_have_their_size_and_words(self):
        picture = report.Picture("a", _png(4, 6), "caption", "alt", scale=3)
        (image,) = _Page(_page_of(picture)).all("img")
        self.assertEqual((image["width"], image["height"]), ("18", "12"))
        self.assertEqual(image["alt"], "alt")
        self.assertEqual(image["class"], "enlarged")

    def test_pictures_are_listed_in_order(self):
        names = [picture.name for picture in _report().pictures()]
        self.assertEqual(names, ["grid"] * 4)

    @parameterized.parameters(
        ("edit_Smiling", "edit_Smiling"),
        ("Größe.1", "Größe.1"),
        ("a/b", "a-2f-b"),
        ("../up", "..-2f-up"),
        ("", "-"),
        ("a b\n😀", "a-20-b-a--1f600-"),
    )
    def test_a_picture_is_a_file_whatever_its_name(self, name, expected):
        self.assertEqual(report.Picture(name, _png(), "caption").name, expected)

    def test_long_names_stay_apart_in_files(self):
        names = {report.file_name("😀" * 300 + last) for last in "ab"}
        self.assertLen(names, 2)
        for name in names:
            self.assertLess(len(f"{name}.png".encode()), 255)

    def test_a_row_that_does_not_fit_is_refused(self):
        with self.assertRaisesRegex(ValueError, "a value for each of"):
            report.Table(["a", "b"], [["x", 1], ["y"]])

    def test_is_written_whole(self):
        folder = self.create_tempdir().full_path
        path = os.path.join(folder, "new", "report.html")
        _report("first").write(path)
        _report("second").write(path)
        self.assertEqual(os.listdir(os.path.dirname(path)), ["report.html"])
        with open(path, encoding="utf-8") as file:
            self.assertIn("<title>second</title>", file.read())

    @parameterized.parameters(
        (None, "n/a"),
        (True, "yes"),
        (1234567, "1,234,567"),
        (np.int64(12), "12"),
        (5015.25, "5,015.2"),
        (123456.7, "123,457"),
        (16.283989, "16.28"),
        (np.float32(0.5), "0.5"),
        (0.0178, "0.0178"),
        (6.1e-5, "6.1e-05"),
        (0.0, "0"),
        (-7929.25, "-7,929.2"),
        (float("nan"), "not a number"),
        (float("-inf"), "infinite"),
        ("word", "word"),
    )
    def test_formats_values_for_people(self, value, wanted):
        self.assertEqual(report.format_value(value), wanted)

    def test_columns_of_numbers_are_aligned(self):
        table = report.Table(["name", "n", "word"], [["a", 1, "x"], ["b", None, "y"]])
        heads = re.findall(r'<th scope="col"( class="number")?>', _page_of(table))
        self.assertEqual([bool(head) for head in heads], [False, True, False])


if __name__ == "__main__":
    tf.test.main()
