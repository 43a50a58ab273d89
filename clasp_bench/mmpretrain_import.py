"""Importing this imports mmpretrain without what else it does then: it prints, and it imports mmdet, seconds for one class that nobody here uses."""

import sys
from contextlib import redirect_stdout
from io import StringIO

_hidden = (
    {} if "mmdet" in sys.modules else {"mmdet": None}
)  # None makes `import mmdet` an ImportError, which mmpretrain expects
sys.modules.update(_hidden)
try:
    with redirect_stdout(StringIO()):
        import mmpretrain.models  # noqa: F401
finally:
    for name in _hidden:
        del sys.modules[name]
