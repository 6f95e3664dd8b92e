"""XLA's persistent cache: what it compiled, kept in a folder for later processes.

Free of TensorFlow, which reads where the cache is when it first looks for devices.
"""

import os


def use(folder: str) -> None:
    """Let XLA keep what it compiles in a folder; before TensorFlow is imported.

    Args:
        folder: The folder, which TensorFlow makes; empty: no cache.
    """
    if folder:
        cache = f"--tf_xla_persistent_cache_directory={folder}"
        flags = os.environ.get("TF_XLA_FLAGS", "")
        os.environ["TF_XLA_FLAGS"] = f"{flags} {cache}".strip()
