"""Python runs this at the start of each process that has this folder on its PYTHONPATH.

It plants the fault that CHAOS_PLANTED names into a service; engine processes are left alone.
"""

import os
import sys
import traceback

if name := os.environ.get("CHAOS_PLANTED"):
    service = next((word for word in sys.orig_argv if word.startswith("services.")), "")
    if service in ("services.synth", "services.ws_bridge", "services.http_bridge"):
        try:
            import planted_faults  # type: ignore[import-not-found]

            planted_faults.plant(name, service.partition(".")[2])
        except BaseException:  # noqa: BLE001 - site ignores it: the service would run without the fault
            traceback.print_exc()
            os._exit(70)
