import json

from clasp_bench.suite.record import CURVE_POINTS
from clasp_bench.tasks.curves import training_curves


def log(work_dir, sitting, lines):
    path = work_dir / sitting / "vis_data" / "scalars.json"
    path.parent.mkdir(parents=True)
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))


def test_the_later_sitting_counts_where_a_step_was_done_twice(tmp_path):
    log(tmp_path, "20260101_000000", [{"step": 10, "loss": 3.0}, {"step": 20, "loss": 2.0}, {"step": 30, "loss": 9.0}])
    log(tmp_path, "20260102_000000", [{"step": 30, "loss": 1.5}, {"reid/mAP": 40.0, "step": 30}])
    curve = training_curves(tmp_path)["loss"]
    assert (curve.steps, curve.values) == ([10, 20, 30], [3.0, 2.0, 1.5])


def test_a_line_torn_by_a_kill_is_passed_over(tmp_path):
    log(tmp_path, "20260101_000000", [{"step": 10, "loss": 3.0}, '{"step": 20, "lo'])
    assert training_curves(tmp_path)["loss"].steps == [10]


def test_a_long_run_is_thinned_from_its_first_step_to_its_last(tmp_path):
    log(tmp_path, "20260101_000000", [{"step": step, "loss": 1.0} for step in range(1, 5001)])
    steps = training_curves(tmp_path)["loss"].steps
    assert len(steps) == CURVE_POINTS and (steps[0], steps[-1]) == (1, 5000)


def test_a_run_that_logged_nothing_has_no_curve(tmp_path):
    assert training_curves(tmp_path) == {}
