"""City tariffs: the TOML schema, the compiler to the unit's form, and the catalogue."""
