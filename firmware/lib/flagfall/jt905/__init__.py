# The serial line between a taximeter and a certified ISU, as JT/T 905-2014 has it.
# MIT licence, (c) 2026 The Flagfall contributors.
