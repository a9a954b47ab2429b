"""Commands on the machine that the lab runs on."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class LabError(Exception):
    """The lab itself could not do its part; never a failure of the product."""


@dataclass(frozen=True)
class Result:
    """What a command came back with."""

    argv: tuple[str, ...]
    status: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        """True for exit status 0."""
        return self.status == 0

    def told(self) -> str:
        """The whole story, for a failing assertion."""
        return f"$ {' '.join(self.argv)}\nexit status {self.status}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def run(
    argv: Sequence[str],
    *,
    stdin: str | bytes | None = None,
    check: bool = True,
    timeout: float = 600,
    env: Mapping[str, str] | None = None,
) -> Result:
    """Run a command with standard input closed or given; a failure is loud unless `check` is off."""
    given = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        done = subprocess.run(
            list(argv),
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            check=False,
            timeout=timeout,
            env=None if env is None else dict(env),
        )
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed: {error}") from error
    except subprocess.TimeoutExpired as error:
        late = f"{' '.join(argv)} took longer than {timeout:.0f} s"
        output = b"\n".join(part for part in (error.stdout, error.stderr) if part)
        raise LabError(f"{late}\n{output.decode(errors='replace')}") from error
    result = Result(
        tuple(argv), done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )
    if check and result.status != 0:
        raise LabError(result.told())
    return result
