"""Work-arounds for Textual, one a file: each says what goes wrong without it, in which version that was seen, and the
upstream report it waits for. Private parts of Textual are used here only, and tests/kitui/tui/textual_fixes names them.
"""
