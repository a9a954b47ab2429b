"""The command line: arguments → engine → text or JSON. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import sys
import traceback
from collections import Counter
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from state.store import Locked, Store, StoreError, StoreFullError
from wizard.answers import Answers, AnswersError, as_tables, as_toml, load, parse
from wizard.operation import advice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from state.store import Guard
    from wizard.check import CheckResult
    from wizard.engine import Engine, PlannedOperation, StepPlan
    from wizard.host import SshSession
    from wizard.rollback import Decision
    from wizard.step import Step

DEFAULT_STATE = "/var/lib/relay-wizard"
WATCH_PAUSE = 10.0


class Exit(IntEnum):
    """The exit statuses, each with one meaning."""

    WELL = 0
    CHECK_FAILS = 1
    USAGE = 2
    OPERATION_FAILED = 3
    LOCKED = 4
    UNSUPPORTED = 5
    WAITING = 6
    INTERRUPTED = 130


class Refused(Exception):  # noqa: N818 - not an error of the program
    """The command cannot be done; the message and the exit status say why."""

    def __init__(self, message: str, status: Exit) -> None:
        super().__init__(message)
        self.status = status


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; its exit status."""
    # Created 0600 and 0700, whatever the caller's mask is.
    os.umask(0o077)
    # A process that knows passwords leaves no picture of its memory behind, however it dies.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    defaults = argparse.Namespace(command=_wizard, answers=None, json=False, state=DEFAULT_STATE)
    arguments = _parser().parse_args(argv, defaults)
    try:
        return int(arguments.command(arguments))
    except Refused as refusal:
        return _complain(str(refusal), refusal.status)
    except AnswersError as error:
        return _complain(str(error), Exit.USAGE)
    except StoreFullError as error:
        return _complain(str(error), Exit.OPERATION_FAILED)
    except StoreError as error:
        return _complain(str(error), Exit.UNSUPPORTED if os.geteuid() else Exit.USAGE)
    except BrokenPipeError:
        # Whoever read our output has gone; nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.WELL
    except (OSError, sqlite3.Error) as error:
        otherwise = f"Look after the disk of {arguments.state}, then start it again; what is done stays done."
        return _complain(f"it cannot go on: {error}. {advice(error, otherwise)}", Exit.OPERATION_FAILED)
    except KeyboardInterrupt:
        # The run, if one was started, is not ours to stop: it goes on.
        return _complain(
            "interrupted. A run that was started goes on: relay-wizard attach   (if it waits: relay-wizard stop)",
            Exit.INTERRUPTED,
        )


def _complain(message: str, status: Exit) -> Exit:
    print(f"relay-wizard: {message}", file=sys.stderr)
    return status


# Arguments


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--answers", metavar="FILE", default=argparse.SUPPRESS, help="take the answers of this TOML file"
    )
    common.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="data on standard output")
    common.add_argument("--state", metavar="DIR", default=argparse.SUPPRESS, help=f"default {DEFAULT_STATE}")
    parser = argparse.ArgumentParser(
        prog="relay-wizard", parents=[common],
        description="Turns a fresh VPS into a trusted mail relay. Without a command: the wizard on the screen.",
    )  # fmt: skip
    commands = parser.add_subparsers(metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str | None) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, parents=[common], help=text, description=text)
        sub.set_defaults(command=command)
        return sub

    add("steps", _steps, "the checklist and where each step stands")
    add("plan", _plan, "what apply would change").add_argument("step", nargs="*", metavar="STEP")
    apply = add("apply", _apply, "change what differs from the plan, then verify")
    apply.add_argument("step", nargs="*", metavar="STEP")
    apply.add_argument("--yes", action="store_true", help="do not ask")
    apply.add_argument(
        "--wait", metavar="DURATION", type=_duration, default=0.0, help="watch DNS that long: 90s, 10m, 1h"
    )
    apply.add_argument(
        "--confirm-ssh", choices=("none", "login", "auto"),
        help="what has to be seen before a change of SSH, firewall or fail2ban stays: a new login (login), nothing "
        "(none), a login if you are here by SSH (auto); without it the old state comes back after ssh.revert_after",
    )  # fmt: skip
    confirm = add("confirm", _confirm, "keep a change of SSH or firewall: I could log in again")
    confirm.add_argument("--extend", action="store_true", help="start the countdown anew instead")
    verify = add("verify", _verify, "run the checks now")
    verify.add_argument("step", nargs="*", metavar="STEP")
    verify.add_argument("--watch", action="store_true", help="repeat until they pass")
    records = add("records", _records, "every DNS record to publish")
    records.add_argument("--format", choices=("table", "zone", "json"), default="table")
    records.add_argument("--live", action="store_true", help="with what the world sees now")
    rollback = add("rollback", _rollback, "take back what a step changed")
    rollback.add_argument("step", nargs="?", metavar="STEP")
    rollback.add_argument("--all", action="store_true", help="the whole set-up, the last step first")
    rollback.add_argument("--yes", action="store_true", help="do not ask")
    keep = add("keep", _keep, "leave settings as you have them; without STEP: what is left so")
    keep.add_argument("step", nargs="?", metavar="STEP")
    keep.add_argument("operation", nargs="?", metavar="OPERATION", help="its id, as plan --json names it")
    keep.add_argument("--forget", action="store_true", help="no longer")
    add("attach", _attach, "follow the run that is going on, or the last one")
    add("stop", _stop, "end the run that only waits; one that changes something is never stopped")
    add("answers", _answers, "the saved answers, without secrets")
    home = add("home", _home, "write the folder for the server at home")
    home.add_argument("directory", metavar="DIR")
    revert = commands.add_parser("revert", parents=[common])
    revert.set_defaults(command=_revert)
    background = commands.add_parser("run-in-background", parents=[common])
    background.add_argument("run", type=int)
    background.set_defaults(command=_work)
    return parser


def _duration(text: str) -> float:
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], text[-1:]) if text[-1:] in units else (text, "s")
    try:
        return float(int(number) * units[unit])
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 90s, 10m or 1h") from None


# Commands


def _wizard(arguments: argparse.Namespace) -> int:
    from screens.app import run_wizard

    return run_wizard(Path(arguments.state), arguments.answers)


def _steps(arguments: argparse.Namespace) -> int:
    from wizard.checklist import states as stand
    from wizard.steps import STEPS

    given = _read_answers(arguments.answers) if arguments.answers else None
    store = _store(arguments, create=given is not None)
    states = stand(STEPS, store, _keep_answers(store, given))
    if arguments.json:
        return _print_json(
            [
                {
                    "id": state.step.id, "title": state.step.title, "status": state.status,
                    "blocked_by": list(state.blocked_by), "last_verified": state.last_verified,
                }
                for state in states
            ]
        )  # fmt: skip
    from wizard.report import checklist

    return _print(checklist(states))


def _plan(arguments: argparse.Namespace) -> int:
    engine = _engine(arguments, create=False)
    _require_root(engine)
    plans = engine.plan(_chosen(engine, arguments.step))
    if not arguments.json:
        from wizard.report import plan

        return _print(plan(plans))
    steps = [
        {"id": made.step.id, "title": made.step.title, "operations": [entry.as_json() for entry in made.operations]}
        for made in plans
    ]
    return _print_json({"changes": sum(made.changes for made in plans), "steps": steps})


def _apply(arguments: argparse.Namespace) -> int:
    _require_supported()
    engine = _engine(arguments)
    chosen = _chosen(engine, arguments.step)
    # What can be said about the answers is said before anything is begun.
    from wizard.checklist import require_answers

    for step in chosen:
        require_answers(step, engine.answers)
        if not step.skip(engine.answers):
            step.plan(engine.context())
    from wizard import detached, guard

    confirm = guard.is_wanted(arguments.confirm_ssh or "auto", engine.session)
    if not arguments.yes:
        _ask_first(engine, chosen, confirm=confirm)
    elif arguments.confirm_ssh is None:
        _refuse_to_lock_out(engine, chosen)
    ids = [step.id for step in chosen]
    return _start(
        arguments, engine, detached.request("apply", ids, engine.session, wait=arguments.wait, confirm=confirm)
    )


def _refuse_to_lock_out(engine: Engine, chosen: list[Step]) -> None:
    """Without questions, somebody has to have said what shows that the operator can still get in."""
    named = ", ".join(made.step.id for made in engine.may_lock_out(chosen))
    if named:
        raise Refused(
            f"{named}: this could cut you off, and --yes asks nothing. Say with --confirm-ssh what has to be seen "
            "before it stays: login (a new login by SSH; else all is taken back after ssh.revert_after seconds), "
            "none (nothing; you have another way in), or auto (login when you are here by SSH)",
            Exit.USAGE,
        )


def _confirm(arguments: argparse.Namespace) -> int:
    """The operator's word that the new way in works, from a session that came in by it."""
    from wizard import guard as guards
    from wizard.host import LocalHost

    engine = _engine(arguments, create=False)
    _require_root(engine)
    guard = engine.store.last_guard()
    if arguments.extend and guard is not None and guard.is_open:
        guards.set_timer(engine.store, LocalHost(), guard.record["seconds"])
        return _print([f"The countdown begins anew: {guard.record['seconds']} seconds."])
    if guard is not None and not guard.is_open:
        return _tell_how_it_ended(guard)
    if guard is None or (refusal := guards.refusal(guard, engine.session, engine.context())):
        raise Refused(refusal if guard else "there is nothing to confirm", Exit.USAGE)
    guards.prove(engine.store, LocalHost(), guard, "the operator's word")
    return _tell_how_it_ended(engine.store.last_guard() or guard)


def _tell_how_it_ended(guard: Guard) -> int:
    if guard.state == "proved":
        return _print(["The change stays. To go on where a killed run stopped: relay-wizard apply"])
    raise Refused(f"too late: the change was taken back at {guard.ended}. Apply again to try once more.", Exit.USAGE)


def _revert(arguments: argparse.Namespace) -> int:
    """What the timer starts: keep the change when a login was seen, else take it back."""
    from wizard import detached
    from wizard import guard as guards
    from wizard.host import LocalHost

    store = _store(arguments)
    guard = store.last_guard()
    log = store.run_folder(guard.run) / "revert.log" if guard else None
    session = detached.session_of(store.run(guard.run).request) if guard else None
    guards.fall(_engine(arguments, session=session), LocalHost(log=log))
    return Exit.WELL


def _rollback(arguments: argparse.Namespace) -> int:
    if arguments.all == (arguments.step is not None):
        raise Refused("name one step to take back, or --all for the whole set-up", Exit.USAGE)
    _require_supported()
    engine = _engine(arguments)
    from wizard import detached
    from wizard.rollback import WAY_IN, steps_back

    changes = Counter(change.step for change in engine.store.changes())
    chosen = [*changes] if arguments.all else [step.id for step in _chosen(engine, [arguments.step])]
    ids = steps_back([step.id for step in engine.steps], chosen)
    changed = [step for step in ids if changes[step]]
    if not changed:
        print(f"{arguments.step or 'the whole set-up'}: there is nothing to take back.", file=sys.stderr)
    if words := engine.refuses_rollback(ids):
        raise Refused(words, Exit.OPERATION_FAILED)
    if engine.touch_way_in(changed):
        print(WAY_IN, file=sys.stderr)
    asks = not arguments.yes and sys.stdin.isatty() and bool(changed)
    decided = _ask_what_to_take_back(engine, ids, changes) if asks else {}
    return _start(arguments, engine, detached.request("rollback", ids, engine.session, decided=decided))


def _ask_what_to_take_back(engine: Engine, ids: list[str], changes: Mapping[str, int]) -> dict[str, Decision]:
    """Show what is taken back, and ask about each file that somebody has changed since."""
    from wizard.report import conflict_lines
    from wizard.rollback import KEEP, ORIGINAL, foresee

    decided = {}
    for conflict in foresee(engine.store, engine.look, *ids):
        print("\n".join(conflict_lines(conflict)), file=sys.stderr)
        wanted = _asked("Put the original back (o), or keep the file as it is (k)? [o/K]") in {"o", "original"}
        decided[conflict.path] = conflict.decide(ORIGINAL if wanted else KEEP)
    named = ", ".join(f"{step} ({changes[step]})" for step in ids)
    if not _confirmed(f"Take back all changes of: {named}?"):
        raise Refused("nothing was changed", Exit.INTERRUPTED)
    return decided


def _keep(arguments: argparse.Namespace) -> int:
    engine = _engine(arguments, create=arguments.step is not None)
    _require_root(engine)
    if arguments.step is not None:
        [step] = _chosen(engine, [arguments.step])
        if arguments.forget:
            if not engine.store.let_go(step.id, arguments.operation):
                raise Refused(f"nothing of {step.id} is kept", Exit.USAGE)
        else:
            for entry in _to_keep(engine.plan([step])[0], arguments.operation):
                engine.store.keep(step.id, entry.operation.id, engine.now())
        # The checklist shall know of it.
        engine.plan([step])
    kept = engine.store.kept()
    if arguments.json:
        rows = [{"step": step, "operation": operation, "at": at} for (step, operation), at in kept.items()]
        return _print_json({"kept": rows})
    lines = [f"{step} {operation}: kept as you have it since {at}" for (step, operation), at in kept.items()]
    return _print(lines or ["nothing is kept: apply sets everything as planned"])


def _to_keep(plan: StepPlan, operation: str | None) -> list[PlannedOperation]:
    """What of a step's plan is meant: the named operation, else all that somebody else has changed since."""
    from wizard.operations.packages import InstallPackages

    settings = [entry for entry in plan.operations if not isinstance(entry.operation, InstallPackages)]
    open_ones = ", ".join(entry.operation.id for entry in settings if entry.changes) or "none"
    if operation is None:
        drifted = [entry for entry in settings if entry.is_drifted]
        if drifted:
            return drifted
        raise Refused(
            f"nothing of {plan.step.id} was changed since relay-wizard wrote it. "
            f"Name what to keep; apply would change: {open_ones}",
            Exit.USAGE,
        )
    named = [entry for entry in settings if entry.operation.id == operation]
    if named and (named[0].changes or named[0].kept):
        return named
    why = "is as planned: there is nothing to keep" if named else f"is no setting of {plan.step.id}"
    raise Refused(f"{operation} {why}. Apply would change: {open_ones}", Exit.USAGE)


def _start(arguments: argparse.Namespace, engine: Engine, request: dict[str, Any]) -> int:
    from wizard import detached
    from wizard.host import LocalHost

    host = LocalHost()
    try:
        _tell_stopped(detached.stop_waiting(engine.store, engine.now()))
        run = detached.start(engine.store, host, request, {}, engine.now())
    except Locked:
        raise Refused("another run is going on. Follow it with: relay-wizard attach", Exit.LOCKED) from None
    return _follow(arguments, engine, run)


def _follow(arguments: argparse.Namespace, engine: Engine, run: int) -> int:
    from wizard import detached
    from wizard.report import event_lines

    for event in detached.follow(engine.store, engine.look, run):
        if arguments.json:
            print(json.dumps(event), flush=True)
        else:
            for line in event_lines(event):
                print(line, flush=True)
    ended = engine.store.run(run)
    if ended.status == "interrupted":
        print("relay-wizard: the run was killed. Start it again; it finishes what was begun.", file=sys.stderr)
    return ended.exit if ended.exit is not None else Exit.OPERATION_FAILED


def _stop(arguments: argparse.Namespace) -> int:
    from wizard import detached

    engine = _engine(arguments, create=False)
    _require_root(engine)
    try:
        stopped = detached.stop_waiting(engine.store, engine.now()) if engine.store.last_run() else None
    except Locked:
        raise Refused("the run is changing something; that is not stopped. Follow it with: relay-wizard attach",
                      Exit.LOCKED) from None  # fmt: skip
    _tell_stopped(stopped)
    if stopped is None:
        print("There is no run that waits.", file=sys.stderr)
    return Exit.WELL


def _tell_stopped(run: int | None) -> None:
    if run is not None:
        print(f"Run {run}, which only waited, has ended. What it had done stays.", file=sys.stderr)


def _attach(arguments: argparse.Namespace) -> int:
    engine = _engine(arguments, create=False)
    last = engine.store.last_run()
    if last is None:
        raise Refused("there was no run yet. Start one with: relay-wizard apply", Exit.USAGE)
    return _follow(arguments, engine, last.id)


def _verify(arguments: argparse.Namespace) -> int:
    from wizard.report import check_lines, verdict

    engine = _engine(arguments)
    _require_root(engine)
    chosen = _chosen(engine, arguments.step)

    def heard(result: CheckResult) -> None:
        if not arguments.json:
            for line in check_lines(result):
                print(line, flush=True)

    while True:
        results = engine.verify(chosen, heard)
        status = verdict(results)
        if arguments.json:
            _print_json({"status": status.value, "checks": [result.as_json() for result in results]})
        else:
            print(f"\n{status.value}: {len(results)} checks, {sum(result.failed for result in results)} failed")
        if status != "fail" or not arguments.watch:
            return Exit.CHECK_FAILS if status == "fail" else Exit.WELL
        engine.look.sleep(WATCH_PAUSE)


def _records(arguments: argparse.Namespace) -> int:
    from wizard import records
    from wizard.checklist import require_answers

    engine = _engine(arguments, create=False)
    require_answers(engine.step("dns"), engine.answers)
    context = engine.context()
    sheet = records.sheet(context)
    live = records.live(context, sheet) if arguments.live or arguments.json or arguments.format == "json" else {}
    if arguments.json or arguments.format == "json":
        return _print_json(records.as_json(sheet, live))
    text = records.as_zone(sheet) if arguments.format == "zone" else records.as_table(sheet, live)
    return _print(text.splitlines())


def _answers(arguments: argparse.Namespace) -> int:
    answers = _engine(arguments, create=False).answers
    if arguments.json:
        return _print_json(as_tables(answers))
    return _print(as_toml(answers).splitlines())


def _home(arguments: argparse.Namespace) -> int:
    from wizard import home_folder
    from wizard.checklist import require_answers

    engine = _engine(arguments, create=False)
    require_answers(engine.step("home"), engine.answers)
    return _print(home_folder.write(engine.context(), Path(arguments.directory)))


def _work(arguments: argparse.Namespace) -> int:
    """The background half of apply and rollback."""
    from wizard import detached
    from wizard.host import LocalHost
    from wizard.secret import Redactor

    redactor = Redactor()
    store = _store(arguments)
    run = store.run(arguments.run)
    host = LocalHost(store.run_folder(run.id) / "output.log", redactor)
    engine = _engine(arguments, session=detached.session_of(run.request), redactor=redactor)
    engine.passwords = detached.take_passwords(host, detached.handed(run.id))
    try:
        return detached.work(engine, host, run.id, redactor.clean)
    except (OSError, sqlite3.Error, StoreError):
        raise
    except Exception:  # noqa: BLE001 - nobody above knows the secrets that may stand in it
        sys.stderr.write(redactor.clean(traceback.format_exc()))
        return Exit.OPERATION_FAILED


# What the commands share


def _engine(
    arguments: argparse.Namespace, *, create: bool = True, session: SshSession | None = None, redactor: Any = None
) -> Engine:
    from wizard.engine import Engine
    from wizard.host import DryRunHost
    from wizard.steps import STEPS

    given = _read_answers(arguments.answers) if arguments.answers else None
    store = _store(arguments, create=create or given is not None)
    host = DryRunHost(redactor=redactor)
    engine = Engine(STEPS, store, host, Answers(), session or host.ssh_session())
    engine.answers = _keep_answers(store, given)
    return engine


def _store(arguments: argparse.Namespace, *, create: bool = True) -> Store:
    """The state; what had to be done to open it is told."""
    store = Store.open(Path(arguments.state), create=create)
    if store.notice:
        print(f"relay-wizard: {store.notice}", file=sys.stderr)
    return store


def _keep_answers(store: Store, given: Answers | None) -> Answers:
    """The answers in force: those given now, kept for later, else those of the state."""
    if given is None:
        return parse(store.answers() or {})
    store.save_answers(as_tables(given))
    return given


def _read_answers(name: str) -> Answers:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise AnswersError(f"{name}: it cannot be read: {error.strerror}") from error
    return load(data, name)


def _chosen(engine: Engine, ids: Sequence[str]) -> list[Step]:
    known = [step.id for step in engine.steps]
    for step_id in ids:
        if step_id not in known:
            import difflib

            near = difflib.get_close_matches(step_id, known, n=1, cutoff=0.0)[0]
            raise Refused(f"{step_id}: there is no such step; did you mean {near}? All: {', '.join(known)}", Exit.USAGE)
    return engine.choose(ids)


def _require_root(engine: Engine) -> None:
    if not engine.look.is_root():
        raise Refused("not root: start it again with sudo in front", Exit.UNSUPPORTED)


def _require_supported() -> None:
    """Refuse before anything is written, the state included, on a machine that is not to be changed."""
    from wizard.fact import Context, Facts
    from wizard.host import DryRunHost
    from wizard.steps.preflight import unsupported

    host = DryRunHost()
    if reason := unsupported(Context(host, Answers(), Facts(host))):
        raise Refused(reason, Exit.UNSUPPORTED)


def _ask_first(engine: Engine, chosen: list[Step], *, confirm: bool) -> None:
    from wizard.report import plan

    if not sys.stdin.isatty():
        raise Refused("there is no terminal to ask on; add --yes to apply without asking", Exit.USAGE)
    plans = engine.plan(chosen)
    _print(plan(plans))
    context = engine.context()
    if any(made.changes and made.step.guarded(context) for made in plans):
        print(
            "Your way in changes: you will be asked to log in once more from a second terminal, within "
            f"{engine.answers.ssh.revert_after} seconds (ssh.revert_after). If you cannot, all of that is put back."
            if confirm
            else "Your way in changes, and no new login will be asked for: nothing is put back by itself if you are "
            "shut out. To be asked for one, add --confirm-ssh login."
        )
    if not _confirmed("Make these changes?"):
        raise Refused("nothing was changed", Exit.INTERRUPTED)


def _confirmed(question: str) -> bool:
    return _asked(f"{question} [y/N]") in {"y", "yes"}


def _asked(question: str) -> str:
    print(f"{question} ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower()


def _print(lines: Any) -> int:
    for line in lines:
        print(line)
    return Exit.WELL


def _print_json(data: Any) -> int:
    print(json.dumps(data, ensure_ascii=False))
    return Exit.WELL
