"""What is closed when its `with` block ends, as files are."""

from typing import Self


class Closing:
    """A base for whatever has `close()`: `with Thing() as thing:` calls it at the end."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
