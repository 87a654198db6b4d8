"""docs/guide/python-hosts.md: `@shared_task`"""

import django.conf
from celery import Celery

django.conf.settings.configure()
Celery("samples", broker="memory://", backend="cache+memory://", set_as_current=True)

SAMPLE

assert speak.apply(("안녕하세요.", "call-1", "phone-7")).get() == "delivered"
tts.close()
