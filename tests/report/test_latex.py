import shutil
import subprocess

import pytest

from clasp_bench.report import assemble
from clasp_bench.report.latex import escape, latex
from tests.suite.records import a_record

RECORDS = [
    *(a_record("CLASP", seed=seed, mAP=value) for seed, value in enumerate((40.0, 41.0, 42.0))),
    *(a_record(r"a_b & 50% $x$ #1 {~^\} <>|", seed=seed, mAP=value) for seed, value in enumerate((30.0, 31.0, 32.0))),
    a_record("CLASP", task="attribute", mAP=70),
]


def test_every_character_that_latex_reads_as_a_command_is_escaped():
    assert escape(r"a_b & 50% $x$ #1 {~^\}") == (
        r"a\_b \& 50\% \$x\$ \#1 \{\textasciitilde{}\textasciicircum{}\textbackslash{}\}"
    )
    assert escape("one\nline") == "one line"


def test_the_table_holds_figures_marks_and_missing_runs():
    made = latex(assemble(RECORDS))
    assert r"\toprule" in made and r"\midrule" in made and r"\bottomrule" in made
    line = next(line for line in made.splitlines() if line.startswith("CLASP"))
    assert line == r"CLASP & 70.0 (1) & \textbf{41.0} {\scriptsize$\pm$1.0} (3) & -- & -- \\"
    other = next(line for line in made.splitlines() if line.startswith(r"a\_b"))
    assert r"& -- & \underline{31.0} {\scriptsize$\pm$1.0} (3) & -- & --" in other
    assert made.count(r"\begin{tabular}") == made.count(r"\end{tabular}") == 3  # headlines, attribute, reid


WIDE = [
    a_record(f"CLASP-no-self-distillation-{number}", task=task, seed=seed, mAP=40 + number + seed)
    for number in range(3)
    for task in ("attribute", "detection", "parsing", "pose", "reid")
    for seed in range(2)
]


@pytest.mark.parametrize("records", [RECORDS, WIDE], ids=["odd names", "wide"])
def test_it_compiles_and_no_table_is_wider_than_the_line(tmp_path, records):
    if shutil.which("pdflatex") is None:
        pytest.skip("needs pdflatex (Debian: apt-get install texlive-latex-recommended)")
    (tmp_path / "report.tex").write_text(latex(assemble(records)))
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs,graphicx}\n"
        "\\begin{document}\\input{report.tex}\\end{document}\n"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "paper.pdf").stat().st_size > 0
    assert "in paragraph" not in "".join(line for line in done.stdout.splitlines() if line.startswith("Overfull"))
