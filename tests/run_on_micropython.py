# Runs the test_* functions of one file on MicroPython: `micropython run_on_micropython.py FILE`.
# One line a test: "ok NAME", or "FAIL NAME" with the traceback up to the next such line.
# MIT licence, (c) 2026 The Flagfall contributors.

import gc
import sys


def run(path):
    slash = path.rfind("/")
    sys.path.insert(0, path[:slash] if slash >= 0 else ".")
    module = __import__(path[slash + 1 :].rsplit(".", 1)[0])
    failed = 0
    for name in sorted(dir(module)):
        if not name.startswith("test_"):
            continue
        gc.collect()
        try:
            getattr(module, name)()
        except Exception as e:
            failed += 1
            print("FAIL", name)
            sys.print_exception(e, sys.stdout)
        else:
            print("ok", name)
    print("done")
    return failed


if __name__ == "__main__":
    sys.exit(1 if run(sys.argv[1]) else 0)
