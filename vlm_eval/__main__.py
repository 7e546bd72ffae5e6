"""``python -m vlm_eval``."""

import sys

from vlm_eval.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
