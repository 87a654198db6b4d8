"""All rules of delivery. Pure: no asyncio, no I/O. `runtime` carries out the effects that these machines return."""
