"""A secret that a step blurts out is in no record of the run, whatever characters it has."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from state.store import Store
from tests.fake_host import FakeHost
from wizard import detached
from wizard.answers import Answers
from wizard.check import Check, Finding, failed
from wizard.engine import Engine
from wizard.host import Host, HostError
from wizard.operation import Change, Operation, OperationFailed
from wizard.secret import HIDDEN, Redactor, Secret
from wizard.step import Step


@dataclass(frozen=True)
class Blurt(Operation):
    """Fails with a secret in the words of the failure."""

    fail: Callable[[str], Exception]
    secret: str

    @property
    def id(self) -> str:
        return "blurt"

    @property
    def summary(self) -> str:
        return f"set {self.secret}"

    def diff(self, host: Host) -> Change | None:
        return Change(self.summary, command=("set", self.secret))

    def apply(self, host: Host) -> None:
        raise self.fail(self.secret)


@pytest.mark.parametrize("secret", ["xyzzy-plugh-7319", 'quo"te\\d', "Grüße-aus-Ötz", "{[,:]}", "step"])
@pytest.mark.parametrize(
    "fail",
    [
        lambda secret: ZeroDivisionError(f"about {secret}"),
        lambda secret: HostError(f"about {secret}"),
        lambda secret: OperationFailed(f"ask {secret}", f"got {secret}", f"do {secret}"),
    ],
    ids=["crash", "host", "operation"],
)
def test_what_a_step_blurts_out_is_not_recorded(tmp_path: Path, fail: Callable[[str], Exception], secret: str) -> None:
    def ask(_host: Host) -> Finding:
        return failed(f"{secret}?", secret, secret, secret)

    step = Step(
        id="x", title="x", group="g", why="", plan=lambda _: [Blurt(fail, secret)],
        checks=lambda _: [Check("x.x", "x", ask)],
    )  # fmt: skip
    store, redactor = Store.open(tmp_path), Redactor()
    redactor.learn(Secret(secret))
    run = detached.begin(store, detached.request("apply", [], None), "t0")
    host = FakeHost()
    detached.work(Engine((step,), store, host, Answers()), host, run, redactor.clean)
    events = [event for _, event in store.events(run)]
    assert HIDDEN in json.dumps(events)
    assert [event["event"] for event in events][-1] == "run.finished"
    told = [value for event in events for key, value in event.items() if key != "event"]
    assert not [value for value in told if secret in str(value)]
