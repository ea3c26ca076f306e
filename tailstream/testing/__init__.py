"""The kits that plug-ins pass: pytest classes to derive from. They come with the extra ``testing``."""

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{kit}" for kit in ("var_method", "fitted_method", "market_method")))
