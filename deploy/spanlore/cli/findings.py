"""`spanlore findings`: what the last analyses saw."""

from pathlib import Path

import click

from spanlore.cli.connection import find_running
from spanlore.cli.datadir import data_dir_option
from spanlore.cli.output import print_json

__all__ = ["findings_command"]


@click.command("findings")
@click.option("--analyzer", help="Only what this analyzer saw.")
@click.option("--held-back", is_flag=True, help="Also what was seen and is not believed, and why.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@data_dir_option
def findings_command(
    *, analyzer: str | None, held_back: bool, as_json: bool, data_dir: Path | None
) -> None:
    """Show the findings of the last `spanlore learn`, with their evidence."""
    from spanlore.analyzers.records import finding_json, standing_findings
    from spanlore.cli.show_findings import print_findings, print_held_back
    from spanlore.schemas.store import Store

    with Store.connect(find_running(data_dir).store_url) as store:
        every = standing_findings(store)
    found = [one for one in every if analyzer in (None, one.analyzer)]
    if analyzer is not None and not found:
        _require_analyzer(analyzer)
    confirmed = [one for one in found if one.confirmed]
    rest = [one for one in found if not one.confirmed]
    if as_json:
        print_json([finding_json(one) for one in (found if held_back else confirmed)])
        return
    print_findings(confirmed)
    if held_back:
        print_held_back(rest)
    elif rest:
        of_it = f" --analyzer {analyzer}" if analyzer else ""
        more = " more" if confirmed else ""
        click.echo(f"{len(rest)}{more} were held back: spanlore findings --held-back{of_it}")
    if not found and every:
        click.echo(f"none of {len(every)} findings is of {analyzer}: spanlore findings")
    elif not found:
        click.echo("no findings yet: spanlore learn")


def _require_analyzer(name: str) -> None:
    """See that something of this name could have findings. Raises BadParameter."""
    # Not above: with them come the statistics, which takes a second.
    from spanlore.analyzers.meta_harness.proposed_hypotheses import NAME as META_HARNESS
    from spanlore.analyzers.registry import UnknownAnalyzer, installed_analyzers

    if name == META_HARNESS:
        return
    try:
        installed_analyzers([name])
    except UnknownAnalyzer as error:
        raise click.BadParameter(str(error), param_hint="--analyzer") from error
