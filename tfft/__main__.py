"""`python -m tfft` is `tfft`."""

import sys

from tfft.cli.main import main

sys.exit(main())
