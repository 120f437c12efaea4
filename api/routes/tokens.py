"""API tokens: made, listed and revoked by who has one of scope ``admin``. The first is made by the command."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from api.body import JsonRoute
from api.problems import documented
from api.serving import OfDatabase, Service, Serving
from tuner.errors import AuthenticationOff, InvalidInput, NotFound
from tuner.limits import LONGEST_TOKEN_NAME
from tuner.service import tokens
from tuner.service.tokens import Scope, Token
from tuner.strict import Strict

router = APIRouter(prefix="/v1/tokens", tags=["tokens"], route_class=JsonRoute)


class NewToken(Strict):
    """What a token may do, and for how long."""

    name: Annotated[str, Field(max_length=LONGEST_TOKEN_NAME, description="By which it is listed and revoked.")]
    scope: Annotated[Scope, Field(strict=False, description="How far it goes.")] = Scope.WORK
    expires_in_seconds: Annotated[
        int | None, Field(ge=60, le=10 * 366 * 86_400, description="Null: valid until it is revoked.")
    ] = None


class CreatedToken(Token):
    """A token, and its text: told this once."""

    token: str


TokenName = Annotated[str, Path(description="The token's name.")]


class TokenList(BaseModel):
    """All tokens, the newest first."""

    tokens: list[Token]


def _require_authentication(service: Service) -> None:
    if not service.settings.authentication:
        raise AuthenticationOff("start the service with --authentication true; it asks for no tokens now")


@router.post(
    "",
    operation_id="create_token",
    summary="Make a token",
    status_code=201,
    responses=documented(AuthenticationOff, InvalidInput, body=True),
)
def create(new: NewToken, service: Serving) -> CreatedToken:
    """The answer has the token's text, which is not kept and not told again."""
    _require_authentication(service)
    lasts = None if new.expires_in_seconds is None else timedelta(seconds=new.expires_in_seconds)
    token, text = tokens.create(service.database, new.name, new.scope, lasts)
    return CreatedToken(**token.model_dump(), token=text)


@router.get("", operation_id="list_tokens", summary="List tokens", responses=documented())
def listed(database: OfDatabase) -> TokenList:
    """All of them, revoked ones too; what is secret of them is nowhere."""
    return TokenList(tokens=tokens.listed(database))


@router.delete(
    "/{name}", operation_id="revoke_token", summary="Revoke a token", responses=documented(AuthenticationOff, NotFound)
)
def revoke(name: TokenName, service: Serving) -> Token:
    """It ends within seconds, with the sessions of browsers that signed in with it."""
    _require_authentication(service)
    return tokens.revoke(service.database, name)
