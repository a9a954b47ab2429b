"""The names that steps share in Postfix's configuration: its folder, and the hooks in its lists.

A hook is a parameter of our own that stands in one of Postfix's lists, empty until the step that owns it fills it: see
`wizard/operations/postfix.py`.
"""

from __future__ import annotations

FOLDER = "/etc/postfix"

ACCESS_CLIENT = "relay_wizard_access_client"
ACCESS_SENDER = "relay_wizard_access_sender"
SPF = "relay_wizard_spf"
HOME_RECIPIENTS = "relay_wizard_home_recipients"
DKIM_MILTER = "relay_wizard_dkim_milter"
DMARC_MILTER = "relay_wizard_dmarc_milter"
HOME_TRANSPORT = "relay_wizard_home_transport"
TEST_TRANSPORT = "relay_wizard_test_transport"
HOOKS = (
    ACCESS_CLIENT, ACCESS_SENDER, SPF, HOME_RECIPIENTS, DKIM_MILTER, DMARC_MILTER, HOME_TRANSPORT, TEST_TRANSPORT,
)  # fmt: skip
