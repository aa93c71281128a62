"""A program that is run again and again, each time with one fault within our own code.

Each call of ours raises once: the first, then the second, until a run has no call left; with a
step, each so-manieth. What the program sees must be what it saw without.
"""

import textwrap

_HEAD = """
    import asyncio, itertools, json, sys, threading
    import spanlore.instrumentation
    from spanlore.instrumentation import feedback, init, judge, lessons_for, override, run, tool

    FAULTS_MIN, STEP = int(sys.argv[1]), int(sys.argv[2])
    OURS = spanlore.instrumentation.__path__[0]
    # Brackets: straight lines that hold the guards themselves and call nothing before them.
    BRACKETS = {
        ("quiet.py", "__enter__"), ("quiet.py", "__exit__"), ("agent_run.py", "__init__"),
        ("tool_call.py", "__init__"), ("tool_call.py", "__enter__"), ("tool_call.py", "__exit__"),
        ("tool_function.py", "call_now"), ("tool_function.py", "call_later"),
        ("tool_function.py", "step_through"), ("tool_function.py", "__enter__"),
        ("tool_function.py", "__exit__"), ("outcome.py", "finish"),
        ("threads.py", "start_with_context"), ("threads.py", "submit_with_context"),
        ("sudden_end.py", "write_and_leave"), ("sudden_end.py", "on_sigterm"),
        ("amending.py", "call"), ("bracket.py", "__init__"), ("bracket.py", "__enter__"),
        ("bracket.py", "__exit__"), ("logfire_clients.py", "call"),
        ("litellm_calls.py", "__exit__"), ("litellm_calls.py", "_process_chunk"),
        ("litellm_calls.py", "_cleanup"), ("litellm_calls.py", "_apply_response_attributes"),
        ("late_provider.py", "start_span"), ("late_provider.py", "start_as_current_span"),
        ("pipeline.py", "on_start"), ("pipeline.py", "on_end"),
        ("import_hook.py", "find_spec"), ("claude_agents.py", "_watched"),
        ("untold.py", "__enter__"), ("untold.py", "__exit__"), ("untold.py", "start_span"),
        ("untold.py", "start_as_current_span"), ("mcp_messages.py", "_tell_content"),
        ("google_calls.py", "__enter__"), ("google_calls.py", "__exit__"),
        ("light_span.py", "set_attribute"), ("light_span.py", "set_attributes"),
        ("light_span.py", "set_status"), ("light_span.py", "update_name"),
        ("light_span.py", "add_event"), ("light_span.py", "add_link"), ("light_span.py", "end"),
        ("light_span.py", "record_exception"), ("light_span.py", "__exit__"),
        ("light_span.py", "is_recording"), ("light_span.py", "name"),
        ("light_span.py", "status"), ("light_span.py", "end_time"),
    }
"""
_TAIL = """
    def is_internal(frame):
        name = frame.f_code.co_filename
        if not name.startswith(OURS) or frame.f_back.f_code.co_filename == __file__:
            return False
        return (name.rpartition("/")[2], frame.f_code.co_name) not in BRACKETS

    class Fault:
        def __init__(self, at, error):
            self.left, self.error, self.where = at, error, None

        def __call__(self, frame, event, argument):
            if event == "call" and self.where is None and is_internal(frame):
                self.left -= 1
                if self.left == 0:
                    self.where = frame.f_code.co_filename, frame.f_code.co_qualname
                    raise self.error

    init()
    expected = program()
    assert all(expected), expected
    leaked, sites, count = [], set(), 0
    errors = RuntimeError("ours"), KeyError(1), MemoryError(), OSError(28, "x")
    for error in itertools.cycle(errors):
        if count >= FAULTS_MIN:
            break
        for at in itertools.count(1, STEP):
            fault = Fault(at, error)
            threading.setprofile(fault)
            sys.setprofile(fault)
            try:
                seen = program()
            except BaseException as reached:
                seen = repr(reached)
            finally:
                sys.setprofile(None)
                threading.setprofile(None)
            if fault.where is None:
                break
            count += 1
            sites.add(fault.where)
            if seen != expected:
                leaked.append((fault.where[1], at, repr(seen)))
    sites = sorted(name for _, name in sites)
    print(json.dumps({"count": count, "leaked": leaked[:20], "sites": sites}))
"""


def injecting(program: str) -> str:
    """Return the script; ``program`` defines a function of that name that returns what it saw."""
    return "\n".join(map(textwrap.dedent, (_HEAD, program, _TAIL)))
