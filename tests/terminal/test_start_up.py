"""What a fresh process loads: the command line answers quickly because it leaves the heavy libraries alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
HEAVY = ("textual", "rich", "dns", "cryptography", "jinja2", "psutil", "dkim", "spf", "ssl", "smtplib", "asyncio")
OURS = ("wizard.engine", "wizard.host", "wizard.operations", "wizard.checks", "screens")


def loaded_by(*arguments: str) -> set[str]:
    program = (
        "import json, sys, contextlib, io\n"
        "from wizard.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        f"    main({list(arguments)!r})\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("library", HEAVY + OURS)
def test_steps_leaves_heavy_libraries_alone(library: str, tmp_path: Path) -> None:
    assert library not in loaded_by("steps", "--json", "--state", str(tmp_path / "state"))


def test_verify_never_loads_textual(tmp_path: Path) -> None:
    answers = tmp_path / "a.toml"
    answers.write_text('[relay]\ndomain = "a.example"\nhostname = "m.a.example"\nipv4 = "192.0.2.1"\n')
    loaded = loaded_by("verify", "clock", "--json", "--answers", str(answers), "--state", str(tmp_path / "state"))
    assert "wizard.engine" in loaded
    assert not loaded & {"textual", "rich"}
