"""Where Numba keeps the compiled renderer: a folder of its own for every state of the sources.

Numba looks for changes in a kernel's own file alone. A kernel that calls into another module would go on with that module's old
code after an update, and the same seed would give pictures of a mixed version.
"""

import os
import sys
from pathlib import Path

from clasp_bench.files import cache_folder, digest


def keep_by_sources() -> None:
    """Point Numba's cache, of this process and those it starts, at the folder of the present sources; before kernels are imported."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    version = f"synthped-{digest(b''.join(source.read_bytes() for source in sources))[:16]}"
    base = Path(os.environ.get("NUMBA_CACHE_DIR") or cache_folder("numba"))
    if base.name == version:
        return
    os.environ["NUMBA_CACHE_DIR"] = str((base.parent if base.name.startswith("synthped-") else base) / version)
    if "numba" in sys.modules:
        sys.modules["numba"].config.reload_config()
