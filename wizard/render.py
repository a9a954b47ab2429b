"""Files from templates: every file that the wizard writes is a Jinja2 template below templates/STEP/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


def render(name: str, **variables: Any) -> str:
    """Render `templates/NAME`.

    Args:
        name: "fail2ban/etc/fail2ban/jail.d/relay-wizard.local.j2": step, then the path it is written to.
        variables: all that the template uses; one that is missing is an error, never an empty text.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - configuration files, not HTML; answers are judged by wizard/values.py
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(**variables)
