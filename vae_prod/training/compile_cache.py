"""XLA's persistent cache: what it compiled, kept in a folder for later processes.

Free of TensorFlow, which reads where the cache is when it first looks for devices.
"""

import os

from pipelines import files, trust


def use(folder: str) -> None:
    """Let XLA keep what it compiles in a folder; before TensorFlow is imported.

    What is kept is code that runs: on this machine the folder is this user's alone.

    Args:
        folder: The folder, which is made; empty: no cache.

    Raises:
        UserError: Another user owns the folder or may write to it.
    """
    if folder:
        if not files.is_remote(folder):
            trust.make_private(folder, "Mend --compile_cache.")
        cache = f"--tf_xla_persistent_cache_directory={folder}"
        flags = os.environ.get("TF_XLA_FLAGS", "")
        os.environ["TF_XLA_FLAGS"] = f"{flags} {cache}".strip()
