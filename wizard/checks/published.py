"""Records of the sheet, judged for the step that depends on them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check, Finding, passed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wizard.fact import Context
    from wizard.host import Host
    from wizard.lookup import World
    from wizard.records import Kind


def record_checks(
    context: Context, world: World, prefix: str, kind: Kind, *, subjects: Iterable[str], title: str
) -> tuple[Check, ...]:
    """A check for each subject: its records of one kind are published and mean what they have to.

    Args:
        context: answers and facts.
        world: DNS, asked once for all checks of the step.
        prefix: the first check's id; the others get a number: "spf.record", "spf.record_1".
        kind: which records of the sheet.
        subjects: the domains.
        title: with "{}" in it for the domain.
    """
    return tuple(
        Check(
            f"{prefix}_{number}" if number else prefix, title.format(subject),
            partial(published, context, world=world, kind=kind, subject=subject), outside=True,
        )
        for number, subject in enumerate(dict.fromkeys(subjects))
    )  # fmt: skip


def published(context: Context, host: Host, *, world: World, kind: Kind, subject: str) -> Finding:  # noqa: ARG001
    """Judge the records of a kind that speak of a subject; the first that is not well is the one to read about."""
    from wizard.checks import dns
    from wizard.records import sheet

    records = [record for record in sheet(context) if (record.kind, record.subject) == (kind, subject)]
    findings = [dns.check(context, world, record) for record in records]
    bad = [finding for finding in findings if not finding.ok]
    if bad:
        return bad[0]
    if findings:
        return findings[0]
    return passed(f"the record sheet, {kind} of {subject}", "no record is needed", "every record of the sheet")
