"""What `spanlore demo` plays with: a small agent, its users, its tools, and a model for them.

The agent is real, and so is everything between it and the store; its users, the office whose
tools it calls and the model behind the API are simulated:

    users → workday → agent ⇄ model_server (model)
                        ⇅
                      office

``faults`` and ``preferences`` say what was planted in them. Only the simulation and the tests
read those two; what spanlore finds, it finds in the runs.
"""

from importlib import resources
from importlib.resources.abc import Traversable

__all__ = ["TOOLS"]

# The agent's tool definitions (OpenAI's form), as its repository holds them.
TOOLS: Traversable = resources.files("spanlore.demo") / "tools.json"
