"""`spanlore lessons apply`: an approved harness lesson as one commit on a branch of its own."""

import hashlib
import shlex
from pathlib import Path
from typing import Any

import click

from spanlore.cli.connection import Running, find_running
from spanlore.cli.datadir import data_dir_option
from spanlore.cli.errors import CommandFailed
from spanlore.cli.git_branch import (
    FALLBACK_AUTHOR,
    Base,
    base_of,
    holds,
    is_branch_name,
    make_branch,
    uncommitted,
)
from spanlore.cli.kept_lessons import KeptLesson, chosen
from spanlore.cli.output import note, print_json, print_row
from spanlore.schemas.types import Effect, Finding, Lesson

__all__ = ["applied", "apply_command"]


@click.command("apply")
@click.argument("lesson_id", metavar="LESSON")
@click.option(
    "--repo",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the agent's code in its git repository: the one given to `learn --repo`.",
)
@click.option("--branch", help="Name of the branch. Default: spanlore/, the title and the id.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@data_dir_option
def apply_command(
    lesson_id: str,
    *,
    repo: Path,
    branch: str | None,
    as_json: bool,
    data_dir: Path | None,
) -> None:
    """Put an approved harness lesson on a new git branch, as one commit on top of HEAD.

    Your working tree, index and current branch stay as they are. Refused without an approval of
    just this diff, and when the file has changed since the diff was made. LESSON is its id or
    the beginning of one.
    """
    if branch is not None and not is_branch_name(branch):
        message = f"git takes no branch of the name {branch!r}"
        raise click.BadParameter(message, param_hint="--branch")
    document = applied(find_running(data_dir), lesson_id, repo, branch=branch)
    if document["uncommitted"] and document["branch"]:
        note(f"{document['path']} has changes that are not committed; the branch is without them")
    if document["author"] == FALLBACK_AUTHOR:
        note(
            f"git knows no user here: the commit is by {FALLBACK_AUTHOR}; see git config user.name"
        )
    if as_json:
        print_json(document)
    else:
        _print(document)


def applied(
    running: Running, lesson_id: str, repo: Path, *, branch: str | None = None
) -> dict[str, Any]:
    """Make the branch of the lesson whose id begins so; return what the command says as JSON.

    ``branch`` and ``commit`` are None where HEAD holds the change already; ``created`` is false
    where the branch was there with just this. Raises CommandFailed without an approval in force,
    for a stale base, or when git refuses; CannotReach.
    """
    from spanlore.cli.lesson_commit import branch_name, commit_message

    lesson, findings, effect = _read(running, lesson_id)
    patch, path, base_hash = _approved_patch(lesson)
    base = base_of(repo)
    document: dict[str, Any] = {
        "lesson_id": lesson.lesson_id,
        "repo": str(base.top),
        "path": f"{base.below}{path}",
        "base_commit": base.commit,
        "branch": None,
        "commit": None,
        "author": None,
        "created": False,
        "uncommitted": uncommitted(base, path),
        "merge": None,
    }
    if _is_in_head(base, patch, path=path, base_hash=base_hash):
        return document
    made = make_branch(
        base,
        branch or branch_name(lesson),
        patch=patch,
        path=path,
        message=commit_message(lesson, findings, effect),
    )
    return document | {
        "branch": made.branch,
        "commit": made.commit,
        "author": made.author,
        "created": made.fresh,
        "merge": f"git -C {shlex.quote(str(base.top))} merge {made.branch}",
    }


def _read(running: Running, lesson_id: str) -> tuple[Lesson, list[Finding], Effect | None]:
    from spanlore.analyzers.records import named_findings
    from spanlore.review import shelf
    from spanlore.schemas.effect_records import latest_effects
    from spanlore.schemas.store import Store

    with Store.connect(running.store_url) as store:
        # The log counts: rows of `lessons` are copies, which others than the door could write.
        told = shelf.read(store)
        if told.broken is not None:
            raise CommandFailed(
                f"the log of decisions is broken ({told.broken.reason}), so that no approval can "
                "be relied on; see `spanlore lessons log`"
            )
        kept = (
            KeptLesson(lesson=one.lesson, version=one.version) for one in told.standings.values()
        )
        lesson = chosen(list(kept), lesson_id).lesson
        findings = named_findings(store, lesson.findings)
        return lesson, findings, latest_effects(store).get(lesson.lesson_id)


def _approved_patch(lesson: Lesson) -> tuple[str, str, str]:
    """Return (diff, path, hash of the file it is for). Raises CommandFailed unless approved."""
    from spanlore.schemas.lesson_state import DELIVERED, TERMINAL, content_hash

    short = lesson.lesson_id[:8]
    if lesson.layer != "harness":
        raise CommandFailed(
            f"lesson {short} is of the {lesson.layer} layer: only harness lessons change files"
        )
    if lesson.state in (*TERMINAL, "harmful"):
        raise CommandFailed(
            f"lesson {short} is {lesson.state}: it may no longer be applied; what happened to it: "
            f"spanlore lessons log {short}"
        )
    if lesson.state not in DELIVERED or not lesson.approvals:
        raise CommandFailed(
            f"lesson {short} is {lesson.state}, not approved; a person has to approve it first: "
            f"spanlore lessons approve {short} --by NAME"
        )
    if lesson.approvals[-1].get("content_hash") != content_hash(lesson):
        raise CommandFailed(
            f"lesson {short} was changed after its approval; read it again and approve it: "
            f"spanlore lessons show {short}"
        )
    if lesson.patch is None or lesson.base_path is None or lesson.base_hash is None:
        raise CommandFailed(
            f"lesson {short} has no diff: run `spanlore learn --repo PATH` with the agent's code"
        )
    return lesson.patch, lesson.base_path, lesson.base_hash


def _is_in_head(base: Base, patch: str, *, path: str, base_hash: str) -> bool:
    """Say whether HEAD holds the change; CommandFailed when the file is another one otherwise."""
    content = base.content(path)
    if content is not None and hashlib.sha256(content).hexdigest() == base_hash:
        return False
    if content is not None and holds(base, patch, path):
        return True
    again = f"run `spanlore learn --repo {base.top / base.below}` again for a diff of it as it is"
    if content is None:
        why = f"HEAD of {base.top} has no file {base.below}{path}"
        again = "name the folder that `spanlore learn --repo` was given, with the file committed"
    elif uncommitted(base, path):
        why = (
            f"the diff is not for {path} as HEAD of {base.top} has it, and the file has changes "
            "that are not committed"
        )
        again = f"commit them if the diff was made with them, or {again}"
    else:
        why = f"{path} in HEAD of {base.top} is not the file that the diff was made for"
    raise CommandFailed(f"stale base: {why}; {again}")


def _print(document: dict[str, Any]) -> None:
    if document["branch"] is None:
        click.echo(f"HEAD of {document['repo']} holds this change already; nothing to do")
        return
    how = "made" if document["created"] else "was there already, with just this"
    repo = shlex.quote(document["repo"])
    print_row("branch", f"{document['branch']} ({how})")
    print_row("commit", f"{document['commit']} by {document['author']}, on top of HEAD")
    print_row("changes", document["path"])
    print_row("read it", f"git -C {repo} show {document['branch']}")
    print_row("take it", document["merge"])
