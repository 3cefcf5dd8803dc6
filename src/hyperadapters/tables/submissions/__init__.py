"""Files in which others exchange predictions: shared tasks and evaluation frameworks.

`write_submission` makes them of PREDICTIONS; `read_submission` makes PREDICTIONS of them and of the
ratings they are to be compared with.
"""

from hyperadapters.tables.submissions.formats import FORMATS, check_format
from hyperadapters.tables.submissions.read import read_submission
from hyperadapters.tables.submissions.write import write_submission

__all__ = ["FORMATS", "check_format", "read_submission", "write_submission"]
