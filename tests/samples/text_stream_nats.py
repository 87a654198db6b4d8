"""docs/reference/text-streams.md: `outcome = await nc.subscribe(`"""

SAMPLE
