"""Requests to a videobuf2 queue, and the answer that Linux gives to each.

``tests/queue/test_answers.py`` holds the fake against what stands here. ``hwtests/test_fake.py`` makes the
same requests on vivid and compares answer by answer.
"""

from __future__ import annotations

import vb2_answers_allocating  # noqa: F401 - each of the three modules adds its requests
import vb2_answers_buffers  # noqa: F401
import vb2_answers_streaming  # noqa: F401
from vb2_case import CASES as CASES
