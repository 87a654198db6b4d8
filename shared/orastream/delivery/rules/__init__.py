"""Every rule of delivery, pure: no asyncio, no I/O. `runtime` carries out what these machines say."""
