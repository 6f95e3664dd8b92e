"""The secret that a search's chief shares with its workers, through their folder.

Whoever can read the search directory as its user may take part; whoever merely reaches
the chief's port may not.
"""

import hmac
import os
import secrets

import grpc

from pipelines import files, trust

_FILE = "token"
_KEY = "vae-prod-token"


def make(directory: str) -> str:
    """Return the token of a search, made at its first start: for the chief.

    Raises:
        UserError: It can't be written.
    """
    path = os.path.join(directory, _FILE)
    if trust.is_private(path):
        return read(directory)
    token = secrets.token_hex(32)
    with files.new_file(path) as aside:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w") as file:
            file.write(token)
    return token


def read(directory: str) -> str:
    """Return the token of a search: for a worker.

    Raises:
        UserError: There is none that can be read.
    """
    path = os.path.join(directory, _FILE)
    try:
        with trust.open_regular(path) as file:
            return file.read().decode("ascii")
    except (OSError, ValueError) as error:
        raise files.UserError(
            f"Expected the chief's token in {path}, it can't be read ({error}). Start "
            "the chief first, with the same --search_dir and as the same user."
        ) from error


class Guard(grpc.ServerInterceptor):
    """Refuses calls without the token."""

    def __init__(self, token: str):
        self._token = token.encode()
        self._refusal = grpc.unary_unary_rpc_method_handler(_refuse)

    def intercept_service(self, continuation, handler_call_details):
        """Hand the call on, or refuse it."""
        sent = dict(handler_call_details.invocation_metadata).get(_KEY, "")
        if hmac.compare_digest(sent.encode(errors="replace"), self._token):
            return continuation(handler_call_details)
        return self._refusal


def _refuse(request, context):
    del request
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "this search's token is missing")


class Bearer(grpc.UnaryUnaryClientInterceptor):
    """Adds the token to calls."""

    def __init__(self, token: str):
        self._token = token

    def intercept_unary_unary(self, continuation, client_call_details, request):
        """Hand the call on with the token."""
        metadata = [*(client_call_details.metadata or ()), (_KEY, self._token)]
        return continuation(client_call_details._replace(metadata=metadata), request)
