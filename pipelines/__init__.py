"""From image files to batches: sources, conversion to TFRecords, tf.data input.

What is public is listed here, and imported when it is first used: importing the
package costs nothing.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # For type checkers and editors.
    from pipelines.api import convert as convert
    from pipelines.api import eval_batches as eval_batches
    from pipelines.api import train_batches as train_batches
    from pipelines.config import ConvertConfig as ConvertConfig
    from pipelines.config import DataConfig as DataConfig
    from pipelines.files import UserError as UserError
    from pipelines.reading.data_set import DataSet as DataSet
    from pipelines.reading.data_set import open_data as open_data

# Public name to where it is defined.
PUBLIC = {
    "ConvertConfig": "config.ConvertConfig",
    "DataConfig": "config.DataConfig",
    "DataSet": "reading.data_set.DataSet",
    "UserError": "files.UserError",
    "convert": "api.convert",
    "eval_batches": "api.eval_batches",
    "open_data": "reading.data_set.open_data",
    "train_batches": "api.train_batches",
}


def __getattr__(name: str):
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = PUBLIC[name].rpartition(".")
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted(PUBLIC)
