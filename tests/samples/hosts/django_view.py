"""docs/guide/python-hosts.md: `    accepted = tts.say(asked["text"]`"""

import json

import django.conf

django.conf.settings.configure(ALLOWED_HOSTS=["*"], DEFAULT_CHARSET="utf-8")

SAMPLE

from django.test import RequestFactory

asked = {"text": "안녕하세요.", "session": "call-1", "phone": "phone-7"}
answered = speak(RequestFactory().post("/speak", json.dumps(asked), content_type="application/json"))
assert json.loads(answered.content)["requestId"], answered.content
tts.close()
