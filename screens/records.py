"""The DNS records: every record of every domain, grouped by where it goes, and what the world sees of each now."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens.base import SubScreen
from screens.texts import copy, page, save
from screens.widgets import Row, Rows
from screens.words import GLYPHS, TONES, fitted, wrapped
from wizard import records
from wizard.printable import printable
from wizard.records import NOT_MADE, Live, PublishedRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from textual.app import ComposeResult
    from textual.timer import Timer

# Seconds between two looks at DNS: soon at first, then less and less often. It is the world's servers that are asked.
POLL_FIRST, POLL_MORE, POLL_MOST = 3.0, 1.5, 30.0
FORMS = ("one line", "in quoted pieces", "as a line of a zone file")
# Longer host names are cut in the list; they stand whole below it.
LONGEST_HOST = 20
# The steps whose checks come true when the records are live.
WATCHED = ("dns", "ptr")


class RecordsScreen(SubScreen):
    """The DNS records to publish, watched until they are live."""

    HELP = (
        "Type these records in at your registrar, in any order, and the reverse name in the panel of your server's "
        "provider. This screen looks again by itself: a record is published, missing, or wrong, and then says why. "
        "When all are live, Esc goes back to the checklist; a run that waits for them goes on by itself.\n\n"
        "Enter opens a record: its whole value, and what each name server says of it. Some forms want a long TXT "
        "value in quoted pieces, some servers a line of a zone file: f goes through the three forms. There are four "
        "ways to take a value along: c copies it, p shows it in your pager, unbroken, so that the mouse can select "
        "it, s saves the whole sheet, and “relay-wizard records” prints it."
    )
    KEYS = (
        ("Esc", "Back"), ("Enter", "Open"), ("f", "Form"), ("c", "Copy"), ("C", "Copy all"), ("p", "Pager"),
        ("s", "Save"), ("v", "Look now"),
    )  # fmt: skip
    TITLE_TEXT = "DNS records to publish; this screen looks again by itself"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "form", show=False),
        Binding("c", "copy", show=False),
        Binding("C", "copy_all", show=False),
        Binding("p", "pager", show=False),
        Binding("s", "save", show=False),
        Binding("v", "look", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.sheet: tuple[PublishedRecord, ...] = ()
        self.live: Mapping[PublishedRecord, Live] = {}
        self.form = 0
        self.opened = False
        self._pause = POLL_FIRST
        self._looking = False
        self._asked = self._complained = False
        self._timer: Timer | None = None

    def body(self) -> ComposeResult:
        yield Static(" reading …", id="records-head", markup=False)
        yield Rows(id="records")
        with VerticalScroll(id="record", can_focus=False):
            yield Static("", id="record-text", markup=False)

    def on_mount(self) -> None:
        self.query_one(Rows).focus()
        self.background(self._read, self._show, self._failed)

    def _read(self) -> tuple[PublishedRecord, ...]:
        with self.desk.context() as context:
            return records.sheet(context)

    def _show(self, sheet: tuple[PublishedRecord, ...]) -> None:
        self.sheet = sheet
        self._draw()
        self._look()

    # The live column

    def _look(self) -> None:
        if self._timer:
            # One chain of looks: a look by key takes the place of the next one by the clock.
            self._timer.stop()
        if self._looking:
            return
        self._looking = True

        def ask() -> tuple[tuple[PublishedRecord, ...], dict[PublishedRecord, Live]]:
            with self.desk.context() as context:
                sheet = records.sheet(context)
                return sheet, records.live(context, sheet)

        self.background(ask, self._take, self._failed)

    def _look_later(self, pause: float) -> None:
        self._pause = pause
        self._timer = self.set_timer(pause, self._look)

    def _failed(self, error: Exception) -> None:
        self._looking, self._complained = False, True
        self._look_later(min(POLL_MOST, self._pause * POLL_MORE))
        self._draw_head()
        self.say(f"Could not look, tries again by itself: {error}", "bad")

    def _take(self, found: tuple[tuple[PublishedRecord, ...], dict[PublishedRecord, Live]]) -> None:
        self._looking = False
        before = self._missing()
        self.sheet, self.live = found
        self._draw()
        missing = self._missing()
        asked, self._asked = self._asked, False
        if not missing:
            self.say("All records are live. Esc goes back to the checklist.", "good")
            self.wizard.verify(tuple(step.id for step in self.desk.steps if step.id in WATCHED))
            return
        if asked or self._complained:
            self.say(f"Looked: {len(self.sheet) - missing} of {len(self.sheet)} live.")
        self._complained = False
        # Something moved: look again soon, the operator is typing the next one.
        self._look_later(POLL_FIRST if missing != before else min(POLL_MOST, self._pause * POLL_MORE))

    def _missing(self) -> int:
        return sum(self._state(record) != "published" for record in self.sheet)

    def _state(self, record: PublishedRecord) -> str:
        return self.live[record].state if record in self.live else "unknown"

    # Drawing

    def _draw(self) -> None:
        rows = self.query_one(Rows)
        rows.show(tuple(self._rows()))
        self._draw_head()
        self._draw_record()

    def _draw_head(self) -> None:
        states = [self._state(record) for record in self.sheet]
        counts = [
            f"{states.count(word)} {word}" for word in ("published", "wrong", "missing", "unknown") if word in states
        ]
        said = ", ".join(counts) if self.live else self._why_unseen()
        self.query_one("#records-head", Static).update(Content(f" {len(self.sheet)} records: {said}"))

    def _why_unseen(self) -> str:
        return "nobody could be asked yet" if self._complained else "looking what the world sees …"

    def _rows(self) -> Iterator[Row]:
        place = None
        width = min(LONGEST_HOST, max((len(record.host) for record in self.sheet), default=1))
        for number, record in enumerate(self.sheet):
            if record.zone != place:
                place = record.zone
                yield Row(place_of(record), tone="heading")
            state = self._state(record)
            value = record.value or NOT_MADE
            priority = "" if record.priority is None else f"{record.priority} "
            text = (
                f"{GLYPHS[state]} {state:<9} {record.type:<4} {fitted(record.host, width):<{width}}  {priority}{value}"
            )
            yield Row(printable(text), str(number), TONES[state])
            if state == "wrong":
                yield Row(f"    {printable(self.live[record].detail)}", tone="bad")

    @property
    def chosen(self) -> PublishedRecord | None:
        """The record under the cursor."""
        at = self.query_one(Rows).current_id
        return self.sheet[int(at)] if at else None

    @on(Rows.Moved)
    def _draw_record(self) -> None:
        record = self.chosen
        if record is None:
            return
        live = self.live.get(record, Live("unknown"))
        lines = self._whole(record, live) if self.opened else self._brief(record, live)
        self.query_one("#record-text", Static).update(Content("\n".join(lines)))

    def _brief(self, record: PublishedRecord, live: Live) -> Iterator[str]:
        """What is said of a record below the list."""
        width = max(30, self.size.width - 4)
        yield typed(record)
        yield from list(told(live, width))[:2]
        yield f"Value, {FORMS[self.form]}:" if record.type == "TXT" else "Value:"
        value = self.value(record)
        rest = "…  (Enter shows all of it)"
        yield value if len(value) <= 2 * width else f"{value[: 2 * width - len(rest)]}{rest}"
        yield from wrapped(record.why, width)

    def _whole(self, record: PublishedRecord, live: Live) -> Iterator[str]:
        """An opened record. Its value fills its lines from edge to edge, so that a selection has nothing else."""
        width = max(30, self.size.width - 4)
        value, edge = self.value(record), max(1, self.size.width)
        yield f" {typed(record)}"
        yield from wrapped("Value (c copies it; p shows it in one piece, to be selected):", width, " ")
        yield ""
        yield from (value[at : at + edge] for at in range(0, len(value), edge))
        yield ""
        yield from wrapped(record.why, width, " ")
        yield ""
        yield from (f" {line}" for line in (*told(live, width), *self._servers(live, width)))

    def _servers(self, live: Live, width: int) -> Iterator[str]:
        """What each server says, a line each."""
        if not live.seen:
            yield "Nobody was asked yet." if live.state == "unknown" else "No name server of it is known yet."
            return
        yield ""
        yield "What its name servers say, and then the resolvers that others ask:"
        for seen in live.seen:
            yield from wrapped(f"{seen.server}: {seen.says}", width, f"  {GLYPHS[seen.state]} ", "      ")
        if all(seen.state != "published" for seen in live.seen):
            yield "  Resolvers are asked later: they would remember that there was nothing."

    def value(self, record: PublishedRecord) -> str:
        """The record's value in the form that was chosen."""
        if not record.value:
            return NOT_MADE
        if record.type != "TXT" or self.form == 0:
            return record.value
        if self.form == 1:
            return records.quoted(record.value)
        return next(line for line in records.as_zone([record]).splitlines() if line and not line.startswith(";"))

    # Keys

    @on(Rows.Chosen)
    def choose(self, event: Rows.Chosen) -> None:
        """Enter opens a record: all of it, and what each server says."""
        event.stop()
        self._open(opened=True)

    def _open(self, *, opened: bool) -> None:
        self.opened = opened
        self.set_class(opened, "opened")
        box = self.query_one("#record")
        box.can_focus = opened
        (box if opened else self.query_one(Rows)).focus()
        self._draw_record()

    def action_back(self) -> None:
        """Esc closes the record first."""
        if self.opened:
            self._open(opened=False)
        else:
            self.dismiss()

    def action_form(self) -> None:
        """Show TXT values in the next of the three forms."""
        self.form = (self.form + 1) % len(FORMS)
        self._draw_record()
        self.say(f"TXT values {FORMS[self.form]}.")

    def action_copy(self) -> None:
        """Copy the value under the cursor."""
        if self.chosen and self.chosen.value:
            copy(self, self.value(self.chosen), f"{self.chosen.type} {self.chosen.host}")

    def action_copy_all(self) -> None:
        """Copy the sheet."""
        copy(self, self._sheet_text(), "the whole sheet")

    def action_pager(self) -> None:
        """Read the sheet with the pager; of an opened record the value alone, which no line of ours then breaks."""
        record = self.chosen if self.opened else None
        page(self, f"{typed(record)}\n\n{self.value(record)}\n" if record else self._sheet_text())

    def action_save(self) -> None:
        """Save the sheet."""
        save(self, "dns-records.txt", self._sheet_text())

    def action_look(self) -> None:
        """Ask the world now."""
        self._pause = POLL_FIRST
        self._asked = True
        self.say("looking …")
        self._look()

    def _sheet_text(self) -> str:
        table, zone = records.as_table(self.sheet), records.as_zone(self.sheet)
        return f"{table}\nThe same as lines of a zone file:\n\n{zone}"


def typed(record: PublishedRecord) -> str:
    """What a registrar's form asks for beside the value."""
    priority = "" if record.priority is None else f"Priority {record.priority}    "
    return f"Type {record.type}    Host {record.host}    {priority}TTL {record.ttl}"


def told(live: Live, width: int) -> Iterator[str]:
    """What the world sees of a record, in words."""
    return wrapped(f"{live.state}: {live.detail}", width) if live.detail else iter(())


def place_of(record: PublishedRecord) -> str:
    """Where a record goes."""
    return f"At the registrar of {record.zone}" if record.zone else "In the panel of the server's provider"
