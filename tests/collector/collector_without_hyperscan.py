"""The collector as it is where hyperscan is not installed. Run as `spanlore.collector` is."""

import sys

sys.modules["hyperscan"] = None  # type: ignore[assignment]

if __name__ == "__main__":
    from spanlore.collector.__main__ import main

    main()
