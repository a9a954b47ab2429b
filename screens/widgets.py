"""Small widgets that cost little on a slow line: rows with a cursor, a choice, a line of sections, a line of keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, Log, Static

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style
    from textual import events


@dataclass(frozen=True)
class Row:
    """A line of `Rows`. Without an id it is a heading, which the cursor passes over.

    Attributes:
        text: outside text already made printable; cut where the line ends.
        id: what is chosen with it.
        tone: "good", "bad", "warn", "accent", "dim", "heading" or "".
        mark: text at the right end.
    """

    text: str
    id: str = ""
    tone: str = ""
    mark: str = ""


class Rows(ScrollView, can_focus=True):
    """A list of lines with a cursor. Moving it redraws two lines, and nothing more goes over the line."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "rows--good", "rows--bad", "rows--warn", "rows--accent", "rows--dim", "rows--heading", "rows--plain",
        "rows--cursor", "rows--cursor-away",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "move(-10)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("home", "move(-10000)", show=False),
        Binding("end", "move(10000)", show=False),
        Binding("enter", "choose", show=False),
        Binding("space", "choose", show=False),
    ]

    class About(Message):
        """Something about a row."""

        def __init__(self, rows: Rows, row: Row) -> None:
            self.rows = rows
            self.row = row
            super().__init__()

        @property
        def control(self) -> Rows:
            return self.rows

    class Chosen(About):
        """Enter or Space on a row."""

    class Moved(About):
        """The cursor came to a row."""

    def __init__(self, rows: Sequence[Row] = (), *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self.rows: tuple[Row, ...] = ()
        self.cursor = -1
        self.show(rows)

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if 0 <= self.cursor < len(self.rows) else None

    @property
    def current_id(self) -> str:
        """Its id, '' without one."""
        return self.current.id if self.current else ""

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows; the cursor stays on its id, and lines that stay the same are not drawn again."""
        before, kept = self.rows, self.current_id
        self.rows = tuple(rows)
        self.cursor = next((at for at, row in enumerate(self.rows) if row.id and row.id == kept), -1)
        if self.cursor < 0:
            self.cursor = next((at for at, row in enumerate(self.rows) if row.id), -1)
        self.virtual_size = Size(0, len(self.rows))
        if len(before) != len(self.rows):
            self.refresh(layout=True)
        else:
            self._redraw([at for at, (old, new) in enumerate(zip(before, self.rows, strict=True)) if old != new])

    def point_at(self, row_id: str) -> None:
        """Put the cursor on the row of an id."""
        at = next((at for at, row in enumerate(self.rows) if row.id == row_id), -1)
        if at >= 0:
            self._go(at)

    def action_move(self, by: int) -> None:
        """Move over the rows that can be chosen; headings are passed."""
        places = [at for at, row in enumerate(self.rows) if row.id]
        if places:
            here = places.index(self.cursor) if self.cursor in places else 0
            self._go(places[max(0, min(len(places) - 1, here + by))])
            if here + by <= 0:
                # The heading above the first row would never come back otherwise.
                self.scroll_to(y=0, animate=False)

    def action_choose(self) -> None:
        """Choose the row under the cursor."""
        if self.current and self.current.id:
            self.post_message(self.Chosen(self, self.current))

    def _go(self, at: int) -> None:
        before, self.cursor = self.cursor, at
        self.scroll_to_region(Region(0, at, 1, 1), animate=False, force=True)
        if at != before:
            self._redraw([before, at])
            self.post_message(self.Moved(self, self.rows[at]))
        self._place_terminal_cursor()

    def _redraw(self, lines: Sequence[int]) -> None:
        top = int(self.scroll_y)
        for line in lines:
            self.refresh(Region(0, line - top, self.scrollable_content_region.width, 1))

    def _place_terminal_cursor(self) -> None:
        """Put the terminal's own cursor on the row: braille displays and screen readers follow it."""
        if self.has_focus and self.cursor >= 0:
            origin = self.content_region.offset
            self.app.cursor_position = Offset(origin.x, origin.y + self.cursor - int(self.scroll_y))

    def on_focus(self) -> None:
        self._redraw([self.cursor])
        self._place_terminal_cursor()

    def on_blur(self) -> None:
        self._redraw([self.cursor])

    def on_click(self, event: events.Click) -> None:
        at = event.y + int(self.scroll_y)
        if at < len(self.rows) and self.rows[at].id:
            self._go(at)
            self.action_choose()

    def render_line(self, y: int) -> Strip:
        at, width = y + int(self.scroll_y), self.scrollable_content_region.width
        if at >= len(self.rows):
            return Strip.blank(width, self.rich_style)
        row = self.rows[at]
        pointer = "›" if at == self.cursor else " "
        room = width - 1 - cell_len(row.mark)
        text = row.text if cell_len(row.text) <= room else f"{set_cell_size(row.text, room - 1)}…"
        return Strip([Segment(f"{pointer}{set_cell_size(text, room)}{row.mark}", self._style(at, row))], width)

    def _style(self, at: int, row: Row) -> Style:
        if at == self.cursor:
            return self.get_component_rich_style("rows--cursor" if self.has_focus else "rows--cursor-away")
        return self.get_component_rich_style(f"rows--{row.tone or 'plain'}")


class Line(Input):
    """A line to type into. To come to it selects nothing: the next key would replace the answer.

    Enter and Tab go on before any later key is handed out: on a slow line several come at once, and what is typed after
    them must not land in this field.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,tab", "app.focus_next", show=False, priority=True),
        Binding("shift+tab", "app.focus_previous", show=False, priority=True),
    ]

    def __init__(
        self,
        value: str = "",
        *,
        id: str | None = None,  # noqa: A002 - Textual's word
        password: bool = False,
        placeholder: str = "",
    ) -> None:
        super().__init__(value, id=id, password=password, placeholder=placeholder, compact=True, select_on_focus=False)


class Choice(Widget, can_focus=True):
    """One of a few words, "< yes >": Space and the arrows go through them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "turn(1)", show=False),
        Binding("left", "turn(-1)", show=False),
        Binding("enter", "screen.focus_next", show=False),
    ]
    at: reactive[int] = reactive(0)

    class Changed(Message):
        """Another word was taken."""

        def __init__(self, choice: Choice) -> None:
            self.choice = choice
            super().__init__()

    def __init__(self, words: Sequence[str], word: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.words = tuple(words)
        self.set_reactive(Choice.at, self.words.index(word) if word in self.words else 0)

    @property
    def value(self) -> str:
        """The word that is taken."""
        return self.words[self.at]

    def action_turn(self, by: int) -> None:
        """Go to the next or the last word."""
        self.at = (self.at + by) % len(self.words)
        self.post_message(self.Changed(self))

    def render(self) -> Content:
        return Content(f"< {self.value} >")


class Sections(Static, can_focus=True):
    """The parts of a step on one line: "1 Questions  2 Plan  3 Run  4 Checks"."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "turn(1)", show=False),
        Binding("left", "turn(-1)", show=False),
    ]

    WIDE = 42

    class Turned(Message):
        """Another part was asked for."""

        def __init__(self, section: str) -> None:
            self.section = section
            super().__init__()

    def __init__(self, names: Sequence[str], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__("", id=id, markup=False)
        self.names = tuple(names)
        self.here = self.names[0]
        self.mark(self.here)

    def mark(self, name: str) -> None:
        """Show which part is open."""
        self.here = name
        parts = []
        for number, word in enumerate(self.names, start=1):
            # The brackets say it without colours; where the line is short, the numbers of the others must do.
            label = f" {number} {word} " if self.size.width >= self.WIDE or not self.size else f" {number} "
            if word == name:
                label = f"[{number} {word}]"
            parts.append(Content.styled(label, "bold reverse") if word == name else Content(label))
        self.update(Content(" ").join(parts))

    def on_resize(self) -> None:
        self.mark(self.here)

    def action_turn(self, by: int) -> None:
        """Ask for the part beside this one."""
        at = self.names.index(self.here)
        self.post_message(self.Turned(self.names[(at + by) % len(self.names)]))


class Follower(Log):
    """Lines that come in at the end, which stays in sight until one scrolls up; End follows it again."""

    def __init__(self, *, id: str, max_lines: int) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id, highlight=False, max_lines=max_lines)
        self.can_focus = True
        self.following = True

    def add(self, lines: Sequence[str]) -> None:
        """Add lines. Whether to scroll is not read off the scroll bar: it lags behind when lines come in quickly."""
        self.write_lines(lines, scroll_end=False)
        self._follow()

    def on_resize(self) -> None:
        self._follow()

    def _follow(self) -> None:
        if self.following:
            self.scroll_end(animate=False, x_axis=False)

    def action_scroll_up(self) -> None:
        self.following = False
        super().action_scroll_up()

    def action_page_up(self) -> None:
        self.following = False
        super().action_page_up()

    def action_scroll_home(self) -> None:
        self.following = False
        super().action_scroll_home()

    def action_scroll_end(self) -> None:
        self.following = True
        super().action_scroll_end()


class KeyBar(Static):
    """The keys that work here, on the last line."""

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__("", markup=False, id="keys")
        self._keys: tuple[tuple[str, str], ...] = ()
        self._shown: tuple[tuple[str, str], ...] = ()
        self.set_keys(keys)

    def on_resize(self) -> None:
        self.set_keys(self._keys)

    def set_keys(self, keys: Sequence[tuple[str, str]]) -> None:
        """Show these keys, each with its word; where there is no room, the last ones without."""
        self._keys = tuple(keys)
        shown, room = self._keys, self.size.width
        for named in reversed(range(len(keys))):
            if not room or sum(len(key) + len(word) + 2 + bool(word) for key, word in shown) <= room:
                break
            shown = (*keys[:named], *((key, "") for key, _ in keys[named:]))
        if shown != self._shown:
            self._shown = shown
            parts = [Content.assemble((f" {key}", "bold"), f" {word} " if word else " ") for key, word in shown]
            self.update(Content("").join(parts))
