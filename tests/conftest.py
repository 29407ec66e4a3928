"""What all tests share: assertions in shared suites explain themselves."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("contract.suite", "lab.veth")
