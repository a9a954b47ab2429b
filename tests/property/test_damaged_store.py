"""Whatever becomes of the bytes of a store: it opens in time, without a traceback, and no kept image is lost."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from state.rescue import COPY, DATABASE, MIRROR
from state.store import Store
from tests.unit.test_rescue import ANSWERS, WHOLE, fill, images

# A disk that is memory: no power cut is tried here.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
SECONDS = 5.0


@lru_cache
def kept() -> dict[str, bytes]:
    """A store after a run, as files."""
    with TemporaryDirectory(dir=MEMORY) as name:
        fill(Path(name))
        return {entry: (Path(name) / entry).read_bytes() for entry in (DATABASE, COPY, MIRROR)}


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """The database with bytes and pages changed, and its end cut off."""
    data = bytearray(kept()[DATABASE])
    places = st.one_of(st.integers(0, 120), st.integers(0, len(data) - 1))
    for at, value in draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=12)):
        data[at] = value
    for page in draw(st.lists(st.integers(0, len(data) // 4096 - 1), max_size=3)):
        data[page * 4096 : (page + 1) * 4096] = draw(st.sampled_from([bytes(4096), b"\x5a" * 4096, b"\x0d" * 4096]))
    if draw(st.booleans()):
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


def use(store: Store) -> None:
    """All that commands read and write of it."""
    for run in filter(None, [store.last_run()]):
        store.events(run.id)
    store.observations()
    store.last_guard()
    store.observe("ssh", "verified", "t", 0)
    store.finish_run(store.add_run({"kind": "apply", "steps": [], "wait": 0}, "t"), "ok", 0, "t")


@settings(max_examples=60, deadline=None)
@given(broken(), st.booleans())
def test_a_run_that_has_ended_is_never_lost(data: bytes, create: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    with TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name)
        for entry, content in kept().items():
            (folder / entry).write_bytes(content)
        (folder / DATABASE).write_bytes(data)
        start = time.monotonic()
        store = Store.open(folder, create=create)
        if create or store.notice:
            assert images(store) == WHOLE
            assert store.answers() == ANSWERS
        use(store)
        store.close()
        if create:
            again = Store.open(folder)
            assert again.notice == ""
            assert data == kept()[DATABASE] or images(again) == WHOLE
            again.close()
        assert time.monotonic() - start < SECONDS


@settings(max_examples=40, deadline=None)
@given(broken(), st.one_of(st.none(), st.binary(max_size=200)))
def test_without_a_copy_it_opens_all_the_same(data: bytes, mirror: bytes | None) -> None:
    with TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name)
        (folder / DATABASE).write_bytes(data)
        if mirror is not None:
            (folder / MIRROR).write_bytes(mirror)
        start = time.monotonic()
        store = Store.open(folder)
        store.answers()
        assert (
            all(WHOLE.get(path) == content for path, content in images(store).items() if path in WHOLE) or store.notice
        )
        use(store)
        store.close()
        assert time.monotonic() - start < SECONDS
