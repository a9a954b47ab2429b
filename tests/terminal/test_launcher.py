"""The launcher with a Python that is a stub: when it prepares, what it says, what it leaves behind."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
# Makes "environments" that contain itself; its pip does what PIP says.
STUB = """#!/bin/sh
case "$*" in
*version_info*|*ensurepip*) exit 0 ;;
*"-m venv"*) shift 2; mkdir -p "$1/bin" "$1/site"; cp "$0" "$1/bin/python"
    printf '#!/bin/sh\\necho pip >&2; exec %s\\n' "$PIP" > "$1/bin/pip"; chmod +x "$1/bin/pip" ;;
*purelib*) echo "${0%/bin/python}/site" ;;
*) echo "$*" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the launcher and what it looks at."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    for name in ("relay-wizard", "requirements.lock"):
        shutil.copy2(CHECKOUT / name, folder)
    stub = tmp_path / "bin" / "python3.13"
    stub.parent.mkdir()
    stub.write_text(STUB)
    stub.chmod(0o755)
    return folder


def start(checkout: Path, program: Path | None = None, pip: str = "true") -> subprocess.CompletedProcess[str]:
    path = f"{checkout.parent / 'bin'}:/usr/bin:/bin"
    return subprocess.run(
        [program or checkout / "relay-wizard", "steps", "two words"],
        env={"PATH": path, "PIP": pip}, capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip


def test_it_prepares_once_and_hands_the_arguments_on(checkout: Path) -> None:
    first, second = start(checkout), start(checkout)
    assert first.stdout == second.stdout == "-P -m wizard steps two words\n"
    assert "once" in first.stderr
    assert not second.stderr


def test_the_environment_of_the_tests_is_left_alone(checkout: Path) -> None:
    made = checkout / ".venv"
    (made / "bin").mkdir(parents=True)
    (made / "tested-with").write_text("")
    shutil.copy2(checkout.parent / "bin" / "python3.13", made / "bin" / "python")
    started = start(checkout)
    assert started.stdout == "-P -m wizard steps two words\n"
    assert not started.stderr
    assert sorted(path.name for path in made.rglob("*")) == ["bin", "python", "tested-with"]


def test_a_symlink_leads_to_it(checkout: Path) -> None:
    link = checkout.parent / "relay-wizard"
    link.symlink_to(checkout / "relay-wizard")
    assert start(checkout, link).returncode == 0
    assert (checkout / ".venv").is_dir()


def test_without_libraries_it_says_what_to_do_and_leaves_nothing(checkout: Path) -> None:
    done = start(checkout, pip="false")
    assert (done.returncode, done.stdout) == (3, "")
    assert "PIP_FIND_LINKS" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_signal_leaves_nothing_either(checkout: Path) -> None:
    done = start(checkout, pip="sh -c 'kill -TERM $PPID'")
    assert done.returncode != 0
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("change", ["moved", "libraries", "python"])
def test_what_does_not_fit_any_more_is_made_anew(checkout: Path, change: str) -> None:
    start(checkout)
    if change == "moved":
        checkout = checkout.rename(checkout.parent / "elsewhere")
    elif change == "libraries":
        (checkout / "requirements.lock").write_text("another==1\n")
    else:
        python = checkout / ".venv/bin/python"
        python.rename(python.with_name("python3.14"))
        python.symlink_to("python3.14")
    done = start(checkout)
    assert "pip" in done.stderr
    assert done.stdout
    assert not start(checkout).stderr
