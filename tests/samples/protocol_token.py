"""docs/reference/protocol.md: `def token(`"""

SAMPLE

assert token("call-1") == "call-1" and token("통화 1") == "~7Ya17ZmUIDE"
