"""Who says how a run went - code, or a model with a rubric - and how far that is believed."""
