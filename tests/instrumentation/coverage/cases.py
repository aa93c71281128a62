"""The libraries that are run for real, each by a driver, with the versions it is run with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent
SNAPSHOTS = FOLDER / "snapshots"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A driver with what it needs. ``packages`` empty: it is in the lock, so in the default suite.

    ``packages`` are the requirements of an environment of its own; the first names the version.
    """

    library: str
    driver: str
    packages: tuple[str, ...] = ()
    version: str = "the lock's"
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.library} {self.version}".replace(" ", "-").replace("'", "")

    @property
    def snapshot(self) -> Path:
        return SNAPSHOTS / f"{self.name}.json"

    @property
    def path(self) -> Path:
        return FOLDER / "drivers" / f"{self.driver}.py"


def _case(library: str, driver: str, *packages: str) -> Case:
    version = packages[0].partition("==")[2]
    return Case(library=library, driver=driver, packages=packages, version=version)


# The oldest version that each instrumentor says it supports, and the newest there was. Pydantic AI
# and MCP trace themselves, MCP since its version 2. The instrumentors of smolagents, LlamaIndex and
# DSPy come with no extra of spanlore's, and are used where they are installed. CrewAI's oldest is
# the first that can be installed beside OpenTelemetry as we need it.
CASES = (
    Case(library="openai", driver="openai_calls"),
    Case(library="anthropic", driver="anthropic_calls"),
    Case(
        library="anthropic with its own spans",
        driver="anthropic_calls",
        env={
            "ANTHROPIC_OPEN_TELEMETRY": "true",
            "ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE": "content",
        },
    ),
    _case("openai", "openai_calls", "openai==1.26.0", "httpx<0.28"),
    _case("anthropic", "anthropic_calls", "anthropic==0.51.0"),
    _case(
        "langgraph",
        "langgraph_agent",
        "langgraph==1.2.24",
        "langchain-openai==1.7.4",
    ),
    _case(
        "langgraph",
        "langgraph_agent",
        "langgraph==0.3.34",
        "langchain==0.3.22",
        "langchain-openai==0.3.11",
        "openai<2",
    ),
    _case("openai-agents", "openai_agents_agent", "openai-agents==0.24.0"),
    _case("openai-agents", "openai_agents_agent", "openai-agents==0.3.3"),
    _case("google-genai", "google_genai_calls", "google-genai==3.6.1"),
    _case("google-genai", "google_genai_calls", "google-genai==1.32.0"),
    _case("pydantic-ai", "pydantic_ai_agent", "pydantic-ai-slim[openai]==2.68.0"),
    _case("mcp", "mcp_session", "mcp==2.3.0"),
    _case(
        "smolagents",
        "smolagents_agent",
        "smolagents[openai]==1.26.0",
        "opentelemetry-instrumentation-genai-smolagents==1.2b0",
    ),
    _case(
        "llama-index",
        "llama_index_agent",
        "llama-index-core==0.14.25",
        "llama-index-llms-openai-like==0.8.1",
        "opentelemetry-instrumentation-genai-llama-index==1.3b0",
    ),
    _case(
        "dspy",
        "dspy_program",
        "dspy==3.4.1",
        "opentelemetry-instrumentation-genai-dspy==1.3b0",
    ),
    _case("bedrock", "bedrock_calls", "boto3==1.44.8"),
    _case("bedrock", "bedrock_calls", "boto3==1.40.46"),
    _case("litellm", "litellm_calls", "litellm==1.110.2"),
    _case("litellm", "litellm_calls", "litellm==1.72.9"),
    _case("crewai", "crewai_crew", "crewai==1.15.30"),
    _case("crewai", "crewai_crew", "crewai==1.15.24"),
    Case(
        library="crewai by litellm",
        driver="crewai_crew",
        packages=("crewai[litellm]==1.15.30",),
        version="1.15.30",
        env={"CREWAI_BY_LITELLM": "true"},
    ),
    _case("claude-agent-sdk", "claude_agent", "claude-agent-sdk==0.2.189"),
    _case("claude-agent-sdk", "claude_agent", "claude-agent-sdk==0.2.82", "mcp<2"),
)
