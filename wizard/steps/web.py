"""Who answers on port 80 while a certificate is made: certbot itself, or a web server that sleeps between renewals."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wizard.check import Check
from wizard.render import render
from wizard.step import CERTIFY, Field, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wizard.fact import Context
    from wizard.operation import Operation


def by_apache(context: Context) -> bool:
    """True when the operator wants a web server to answer."""
    return context.answers.web.method == "apache"


def plan(context: Context) -> Sequence[Operation]:
    """Nothing for certbot's own server; else Apache with a blank page, put to sleep."""
    from wizard.operations.files import WriteFile
    from wizard.operations.packages import InstallPackages
    from wizard.operations.services import StopService

    if not by_apache(context):
        return ()
    platform = context.platform
    return (
        InstallPackages(platform, platform.packages["apache"]),
        WriteFile(page(context), render("web/index.html.j2")),
        StopService(platform.services["apache"], mask=True),
    )


def page(context: Context) -> str:
    """The page that the web server shows."""
    return f"{context.platform.paths['web_root']}/index.html"


def checks(context: Context) -> Sequence[Check]:
    """Port 80 is there for whoever answers, and for nobody else."""
    from wizard.checks import certificate as look

    service = context.platform.services["apache"]
    apache = service if by_apache(context) else ""
    found = [Check("web.port_80", "Port 80 is free for the certificate", partial(look.port_80_free, apache))]
    if apache:
        found += [
            Check("web.sleeps", "The web server sleeps", partial(look.web_server_sleeps, service), timeout=90),
            Check("web.page", "Its page is blank", partial(look.blank_page, page(context))),
        ]
    return found


STEP = Step(
    id="web",
    title="Port 80",
    group=CERTIFY,
    why="The certificate authority looks at port 80 to see that the name is yours, now and at every renewal.",
    better="certbot answers by itself, for seconds: a web server is one more program to look after. With Apache, the\n"
    "renewal wakes it and puts it back to sleep; masked for good, it would make every renewal fail in silence.",
    plan=plan,
    checks=checks,
    fields=(
        Field(
            "web.method", "Who answers on port 80?", "standalone: certbot itself; apache: a web server, else asleep."
        ),
    ),
    requires=("preflight",),
    needs=(),
)
