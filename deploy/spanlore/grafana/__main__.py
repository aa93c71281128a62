"""``python -m spanlore.grafana [FOLDER]``: write the files that Grafana is given."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from spanlore.grafana.dashboard import dashboard
from spanlore.grafana.provisioning import dashboard_providers, datasources, yaml_text

_FOLDER: Final = Path("deploy/grafana")


def files() -> Mapping[str, str]:
    """Return every file's text by its path below ``deploy/grafana``."""
    return {
        "dashboards/spanlore.json": json.dumps(dashboard(), indent=2) + "\n",
        "provisioning/datasources/spanlore.yaml": yaml_text(datasources()),
        "provisioning/dashboards/spanlore.yaml": yaml_text(dashboard_providers()),
    }


def main() -> None:
    """Write them to the folder that was named, else to ``deploy/grafana`` of a checkout."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else _FOLDER
    for name, text in files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
