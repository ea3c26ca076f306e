"""Who may see what: local HS256 tokens, read against a time that is handed in."""

from collections.abc import Collection
from typing import Annotated, Literal, NamedTuple

import jwt
from pydantic import BaseModel, Field, ValidationError

ALGORITHM = "HS256"
ALL_PORTFOLIOS = "*"
SECRET_BYTES_MIN = 32
"""RFC 7518, section 3.2: a key as long as the hash."""
Role = Literal["viewer", "trader", "risk_manager", "approver", "operator"]


class Claims(NamedTuple):
    """What a good token says. ``portfolios`` None is all of them."""

    subject: str
    roles: frozenset[Role]
    portfolios: frozenset[str] | None
    expires_at: float
    """Unix seconds."""

    def allows(self, portfolio_id: str) -> bool:
        """Whether the holder may see this portfolio."""
        return self.portfolios is None or portfolio_id in self.portfolios


class Refused(NamedTuple):
    """Why a token is no good."""

    reason: str
    expired: bool = False


class _Payload(BaseModel):
    sub: Annotated[str, Field(min_length=1)]
    exp: Annotated[float, Field(strict=True, allow_inf_nan=False)]
    roles: Annotated[frozenset[Role], Field(min_length=1)]
    portfolios: frozenset[str] | Literal["*"]


def make_token(
    secret: str,
    subject: str,
    roles: Collection[Role],
    portfolios: Collection[str] | Literal["*"],
    ttl_seconds: int,
    now: float,
) -> str:
    """A token of ``subject`` that is good from ``now`` (Unix seconds) for ``ttl_seconds``."""
    payload = {
        "sub": subject,
        "iat": int(now),
        "exp": int(now) + ttl_seconds,
        "roles": sorted(roles),
        "portfolios": portfolios if isinstance(portfolios, str) else sorted(portfolios),
    }
    return jwt.encode(payload, secret, ALGORITHM)


def read_token(secret: str, token: str, now: float) -> Claims | Refused:
    """The claims of a token that this secret signed and that is still good at ``now`` (Unix seconds)."""
    try:
        raw = jwt.decode(token, secret, [ALGORITHM], options={"verify_exp": False, "verify_iat": False})
        payload = _Payload.model_validate(raw)
    except jwt.PyJWTError as error:
        return Refused(f"token: expected one signed with {ALGORITHM} by this system ({error})")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return Refused(f"token: claim {'.'.join(map(str, first['loc'])) or 'payload'}: {first['msg']}")
    if payload.exp <= now:
        return Refused("token: expected one still good, was expired", expired=True)
    portfolios = None if payload.portfolios == ALL_PORTFOLIOS else frozenset(payload.portfolios)
    return Claims(payload.sub, payload.roles, portfolios, payload.exp)
