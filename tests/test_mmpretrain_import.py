import subprocess
import sys

CODE = """
import sys
import clasp_bench.{room}
assert "mmdet" not in sys.modules
from mmdet.models import ResNet
from mmpretrain.models import VisionTransformer
"""


def test_our_rooms_import_quietly_and_leave_mmdet_to_those_who_want_it():
    for room in ("models", "engine"):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", CODE.format(room=room)], capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
