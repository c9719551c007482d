# What both runtimes need to say "this must raise": MicroPython has no pytest.
# MIT licence, (c) 2026 The Flagfall contributors.


def raises(error, function, *args, **kwargs):
    """Call `function`; return the exception of type `error` that it raised, or fail."""
    try:
        result = function(*args, **kwargs)
    except error as e:
        return e
    raise AssertionError("%s not raised, got %r" % (error.__name__, result))
