"""A model's proposals, optional: counted, tested, evaluated and approved like any other."""
