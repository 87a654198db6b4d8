"""docs/reference/heard.md: `records = await nc.subscribe(`"""

SAMPLE
