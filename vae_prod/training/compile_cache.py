"""XLA's persistent cache: what it compiled, kept in a folder for later processes.

Free of TensorFlow, which reads where the cache is when it first looks for devices.
"""

import os

from pipelines import files, folders, trust
from vae_prod.core import nvidia

AUTO, NONE = "auto", "none"


def use(folder: str) -> None:
    """Let XLA keep what it compiles in a folder; before TensorFlow is imported.

    What is kept is code that runs: on this machine the folder is this user's alone.

    Args:
        folder: The folder, which is made; "auto": with a GPU, where the compiler takes
            long, one in the user's cache, else none; "none": no cache.

    Raises:
        UserError: Another user owns the folder or may write to it.
    """
    if folder == AUTO:
        cache = os.path.join(folders.user_cache(), "xla")
        folder = cache if nvidia.has_driver() else NONE
    if folder and folder != NONE:
        if not files.is_remote(folder):
            trust.make_private(folder, "Mend --compile_cache.")
        cache = f"--tf_xla_persistent_cache_directory={folder}"
        flags = os.environ.get("TF_XLA_FLAGS", "")
        os.environ["TF_XLA_FLAGS"] = f"{flags} {cache}".strip()
