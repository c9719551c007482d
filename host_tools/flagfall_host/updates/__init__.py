"""Updates in the field: bundles, the permits they need, and how a unit takes them."""
