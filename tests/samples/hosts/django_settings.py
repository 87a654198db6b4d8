"""docs/guide/python-hosts.md: `ORASTREAM = {`"""

import django.conf

from orastream import BlockingClient, SettingsError

SAMPLE

django.conf.settings.configure(ORASTREAM=ORASTREAM)
try:
    BlockingClient.from_django()
except SettingsError as exc:
    assert "/run/secrets/llm.nk" in str(exc), exc  # this machine does not have the file
else:
    raise AssertionError("the settings are not those of the page")
