"""Status words of the bench cards (ISO/IEC 7816-4, 5.1.3) and how code inside a card says no."""

OK = 0x9000
SELECTED_FILE_INVALIDATED = 0x6283  # application blocked; the FCI comes with it
WRONG_LENGTH = 0x6700
CONDITIONS_NOT_SATISFIED = 0x6985
OWNER_WANTED = 0x6986  # a phone: its owner must unlock it, then tap again
WRONG_DATA = 0x6A80
FUNCTION_NOT_SUPPORTED = 0x6A81  # answer to SELECT: card blocked
FILE_NOT_FOUND = 0x6A82
RECORD_NOT_FOUND = 0x6A83
WRONG_P1_P2 = 0x6A86
DATA_NOT_FOUND = 0x6A88
WRONG_LE = 0x6C00  # the right Le in SW2
WRONG_INS = 0x6D00
WRONG_CLA = 0x6E00


class Refused(Exception):
    """The command ends with this status word and no data; nothing has changed."""

    def __init__(self, status_word: int) -> None:
        super().__init__(f"{status_word:04X}")
        self.status_word = status_word
