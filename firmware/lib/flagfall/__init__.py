# Flagfall, an open taximeter and in-vehicle POS: the pure logic shared by unit and host.
# MIT licence, (c) 2026 The Flagfall contributors.

VERSION = "0.1.0"
NOTICE = "uncertified reference design"
