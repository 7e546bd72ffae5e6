"""One or two rows of every benchmark in its publisher's own schema, and what must come of them.

Written from the schemas and prompts of spec D; the texts are made up. By benchmark: rows, and for
each row the fields that are checked.
"""

from .upstream_lettered import LETTERED
from .upstream_worded import WORDED

ROWS = LETTERED | WORDED
