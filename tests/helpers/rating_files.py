"""Tables of ratings as files, and what is said of those that are refused."""

import pytest

from hyperadapters.data import read_annotations
from hyperadapters.errors import DataError

GOOD = "text_id,text,annotator,label\n1,one,a,0\n1,one,b,1\n2,two,a,1\n"


OTHER = "text_id,text,annotator,label\n3,eins,a,0\n3,eins,b,1\n4,zwei,a,1\n"


def refusal(*files, **options):
    """The message of the error, without the folder of the files."""
    with pytest.raises(DataError) as caught:
        read_annotations(*files, **options)
    message = str(caught.value)
    for file in files:
        message = message.replace(f"{file.parent}/", "")
    return message
