"""What switching on costs and touches: little, until a model SDK is imported."""

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import spanlore.instrumentation
from spanlore.instrumentation import import_hook, revision
from tests.instrumentation.traced import collector, run_script


def test_switching_on_imports_nothing_heavy(tmp_path: Path) -> None:
    script = """
        import sys
        import spanlore.auto
        heavy = ("asyncio", "grpc", "opentelemetry", "openai", "wrapt", "click", "logging")
        print([name for name in heavy if name in sys.modules])
    """
    assert run_script(script, tmp_path, env={}).out == "[]\n"


def test_tracing_over_http_does_not_import_grpc(tmp_path: Path) -> None:
    script = """
        import sys
        import spanlore.auto, openai
        from spanlore.instrumentation import run
        with run("assistant"):
            pass
        print("grpc" in sys.modules)
    """
    assert run_script(script, tmp_path, env={}).out == "False\n"


def test_switching_on_many_times_and_ways_traces_once(tmp_path: Path) -> None:
    script = """
        import importlib
        import openai
        import spanlore.auto
        from spanlore.instrumentation import init, run
        for _ in range(3):
            init(service_name="named")
            importlib.reload(spanlore.auto)
        with run("assistant"):
            pass
        import gc
        from spanlore.instrumentation.pipeline import Pipeline
        print(sum(isinstance(each, Pipeline) for each in gc.get_objects()))
    """
    with collector() as there:
        ended = run_script(script, tmp_path, env={"OTEL_EXPORTER_OTLP_ENDPOINT": there.url})
        assert (ended.out, ended.err) == ("1\n", "")
        assert len(there.spans()) == 1


def test_a_library_that_the_program_instruments_itself_is_traced_once(tmp_path: Path) -> None:
    script = """
        import spanlore.auto
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
        OpenAIInstrumentor().instrument()
        import openai
        print(OpenAIInstrumentor().is_instrumented_by_opentelemetry)
    """
    ended = run_script(script, tmp_path, env={})
    assert (ended.out, ended.err) == ("True\n", "")


def test_a_module_of_the_programs_own_with_a_frameworks_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text("mine = True")
    script = """
        import spanlore.auto
        import agents
        from spanlore.instrumentation.quiet import faults
        print(agents.mine, list(faults))
    """
    ended = run_script(script, tmp_path, env={})
    assert (ended.out, ended.err) == ("True []\n", "")


def test_an_instrumentor_that_fails_stops_neither_the_program_nor_the_others(
    tmp_path: Path,
) -> None:
    (tmp_path / "anthropic.py").write_text("mine = True")
    script = """
        import spanlore.auto
        import anthropic
        import openai
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
        print(anthropic.mine, OpenAIInstrumentor().is_instrumented_by_opentelemetry)
        import os
        print("ANTHROPIC_OPEN_TELEMETRY" in os.environ)
    """
    ended = run_script(script, tmp_path, env={})
    assert (ended.out, ended.err) == ("True True\nFalse\n", "")


def test_every_public_name_is_there() -> None:
    for name in spanlore.instrumentation.__all__:
        assert getattr(spanlore.instrumentation, name)
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = spanlore.instrumentation.nothing_of_the_kind


def test_a_hook_is_told_after_the_import_and_a_look_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "watched_module.py").write_text("value = 5")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", sys.meta_path.copy())
    told: list[int] = []
    hook = import_hook.ImportHook(
        ["watched_module"], lambda name: told.append(sys.modules[name].value)
    )
    hook.install()
    assert importlib.util.find_spec("watched_module")
    assert told == []
    assert importlib.import_module("watched_module").value == 5
    assert told == [5]
    hook.install()
    assert told == [5, 5]
    del sys.modules["watched_module"]


@pytest.mark.parametrize("is_first", [True, False])
def test_a_program_that_hooks_the_same_import_runs_as_it_would(
    is_first: bool, tmp_path: Path
) -> None:
    ours, theirs = (
        "import spanlore.auto",
        'wrapt.register_post_import_hook(lambda module: print("theirs"), "openai")',
    )
    lines = ["import wrapt", *((ours, theirs) if is_first else (theirs, ours)), "import openai"]
    lines.append("print(type(openai.__loader__).__name__, type(openai.__spec__.loader).__name__)")
    ended = run_script("\n".join(lines), tmp_path, env={})
    loader = "SourceFileLoader"
    assert (ended.out, ended.err) == (f"theirs\n{loader} {loader}\n", "")


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_package_that_is_installed_as_links_switches_on(is_folder: bool, tmp_path: Path) -> None:
    program = Path(import_hook.__file__).parent / "program"
    linked = tmp_path / "shortcut"
    if is_folder:
        linked.symlink_to(program)
    else:
        linked.mkdir()
        (linked / "sitecustomize.py").symlink_to(program / "sitecustomize.py")
    script = """
        import sys
        print([entry for entry in sys.path if entry.endswith("shortcut")])
        print("spanlore.auto" in sys.modules)
    """
    ended = run_script(script, tmp_path, env={"PYTHONPATH": str(linked)})
    assert (ended.out, ended.err) == ("[]\nTrue\n", "")


def _git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_revision_is_read_without_git(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    (repository / "deep" / "er").mkdir(parents=True)
    assert revision.revision_of(repository) is None
    _git(repository, "init", "--quiet")
    assert revision.revision_of(repository) is None
    _git(repository, "commit", "--quiet", "--allow-empty", "--message", "first")
    head = _git(repository, "rev-parse", "HEAD")
    assert revision.revision_of(repository / "deep" / "er") == head
    _git(repository, "pack-refs", "--all")
    assert revision.revision_of(repository) == head
    _git(repository, "worktree", "add", "--quiet", str(tmp_path / "tree"))
    assert revision.revision_of(tmp_path / "tree") == head
    _git(repository, "checkout", "--quiet", "--detach")
    assert revision.revision_of(repository) == head
