"""What a conversion asks of a source: the words of `--source` and the settings."""

import functools
import os
import re

import attrs

from pipelines import config as config_lib
from pipelines import files
from pipelines.sources import remote, trees


@attrs.frozen(eq=False)
class Request:
    """A source that is to be opened.

    Attributes:
        source: What `--source` says.
        config: How its images become shards; sources use `limit`, `split_ratios` and
            `seed`.
        tfds_data_dir: Where data sets that TFDS has prepared lie; empty: where TFDS
            looks by itself.
    """

    source: str
    config: config_lib.ConvertConfig
    tfds_data_dir: str = ""

    @functools.cached_property
    def tree(self) -> trees.Tree:
        """The folder or zip archive at the path, listed once."""
        if files.is_remote(self.source):
            return remote.Remote(self.source)
        return trees.open_tree(self.source)

    @property
    def name(self) -> str:
        """A data set name for TFDS (lower-case words with `_`), from the path."""
        stem = os.path.basename(os.path.abspath(self.source)).split(".")[0].lower()
        name = re.sub(r"[^a-z0-9]+", "_", stem).strip("_")
        return name if name[:1].isalpha() else f"images_{name}".rstrip("_")
