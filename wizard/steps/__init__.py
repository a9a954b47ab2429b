"""The checklist, in order. A new step is one file here, its line in this tuple, and its folder below templates/."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wizard.steps import (
    access,
    certbot,
    clients,
    clock,
    dkim,
    dmarc,
    dns,
    dovecot,
    fail2ban,
    firewall,
    home,
    hostname,
    mail_test,
    postfix,
    preflight,
    ptr,
    root_password,
    spf,
    ssh,
    submission,
    transport,
    updates,
    users,
    web,
)

if TYPE_CHECKING:
    from wizard.step import Step

STEPS: tuple[Step, ...] = (
    preflight.STEP,
    updates.STEP,
    root_password.STEP,
    users.STEP,
    hostname.STEP,
    clock.STEP,
    ssh.STEP,
    firewall.STEP,
    fail2ban.STEP,
    dns.STEP,
    ptr.STEP,
    web.STEP,
    certbot.STEP,
    postfix.STEP,
    transport.STEP,
    dovecot.STEP,
    submission.STEP,
    home.STEP,
    clients.STEP,
    spf.STEP,
    access.STEP,
    dkim.STEP,
    dmarc.STEP,
    mail_test.STEP,
)


def step(step_id: str) -> Step:
    """The step of this id.

    Raises:
        KeyError: when there is none.
    """
    return next(entry for entry in STEPS if entry.id == step_id)
