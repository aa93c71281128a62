"""Error texts that differ only in a word that varies, put together: Drain over masked templates.

Masking (``error_template``) takes out numbers, ids and quotes; what varies and looks like a word
("table users is locked", "table orders is locked") it leaves. Drain (He et al. 2017, ICWS) finds
those, but what it makes of texts depends on the order in which they come. So it is not fed with
errors as they arrive, but once an analysis with the sorted set of all masked templates: the same
set gives the same clusters. A word that takes but one or two values may be what an error says and
not what varies in it ("not found", "not allowed"): texts are put together from three on.
"""

from collections import defaultdict
from collections.abc import Iterable

from drain3.drain import Drain

SAME_WORDS_SHARE_MIN = 0.6
VALUES_MIN = 3
ANY_WORD = "<*>"


def mined_templates(templates: Iterable[str]) -> dict[str, str]:
    """Return for each masked template that of its cluster: its own text where it stands alone."""
    drain = Drain(sim_th=SAME_WORDS_SHARE_MIN, param_str=ANY_WORD, parametrize_numeric_tokens=False)
    members: dict[int, list[str]] = defaultdict(list)
    for template in sorted(set(templates)):
        cluster, _ = drain.add_log_message(template)
        members[cluster.cluster_id].append(template)
    mined: dict[str, str] = {}
    for cluster in drain.clusters:
        together = members[cluster.cluster_id]
        text = cluster.get_template()
        for template in together:
            mined[template] = text if len(together) >= VALUES_MIN else template
    return mined
