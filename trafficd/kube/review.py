"""Whose token is this? Asked of the API server (TokenReview, authentication.k8s.io/v1).

A projected token (KEP-1205) is bound to its pod, and since Kubernetes 1.30 the review names the node of that pod
(KEP-4193): a pod on one node cannot pass for another node.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from httpx2 import HTTPError, InvalidURL, Timeout
from lightkube import KubeConfig
from lightkube.core.client import Client
from lightkube.core.exceptions import ApiError, ConfigError
from lightkube.models.authentication_v1 import TokenReviewSpec, TokenReviewStatus
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.authentication_v1 import TokenReview

AUDIENCE = "trafficd"
"""What the token was made for: one that leaks elsewhere is no use here, nor ours there."""
NODE_CLAIM = "authentication.kubernetes.io/node-name"
TIMEOUT_S = 5.0


class KubeError(Exception):
    """The API server cannot be asked. One sentence."""


class NotGenuineError(Exception):
    """The API server says no to the token. One sentence."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a token. ``account`` is namespace/name; ``node`` is empty on a cluster before 1.30."""

    account: str
    node: str


def holder(token: str, kubeconfig: Path | None = None) -> Holder:
    """Ask about one token. Raises KubeError, NotGenuineError. Blocks.

    The connection's own credentials are read anew for every question, because they are short-lived too.
    ``kubeconfig``: None is the service account of the pod.
    """
    asked = TokenReview(metadata=ObjectMeta(), spec=TokenReviewSpec(token=token, audiences=[AUDIENCE]))
    try:
        with Client(_configured(kubeconfig), timeout=Timeout(TIMEOUT_S), trust_env=False) as client:
            status = client.create(asked).status
    except ApiError as e:
        raise KubeError(
            f"the Kubernetes API refused to review a token ({e.status.message}): bind the controller's service account "
            "to the cluster role system:auth-delegator"
        ) from e
    except (HTTPError, InvalidURL, OSError) as e:
        raise KubeError(f"the Kubernetes API does not answer: {e or type(e).__name__}") from e
    return _held(status)


def _configured(kubeconfig: Path | None) -> KubeConfig:
    """Raises KubeError, whatever is in the files."""
    try:
        return _configuration(kubeconfig)
    except Exception as e:
        where = str(kubeconfig) if kubeconfig else "the pod's service account"
        said = " ".join(str(e).split()) or type(e).__name__
        raise KubeError(f"the Kubernetes API cannot be reached with {where}: {said}") from e


def _configuration(kubeconfig: Path | None) -> KubeConfig:
    if kubeconfig is not None:
        return KubeConfig.from_file(kubeconfig)
    if "KUBERNETES_SERVICE_HOST" not in os.environ:
        raise ConfigError("this is no pod of a cluster: give --kubeconfig")
    return KubeConfig.from_service_account()


def _held(status: TokenReviewStatus | None) -> Holder:
    user = status.user if status is not None else None
    if status is None or not status.authenticated or user is None:
        why = (status.error if status is not None else "") or "it is expired, or not of this cluster"
        raise NotGenuineError(f"the API server does not accept the token: {why}")
    if AUDIENCE not in (status.audiences or []):
        raise NotGenuineError(f"the token is not meant for the audience {AUDIENCE}: project one that is")
    system, _, account = (user.username or "").partition("system:serviceaccount:")
    if system or account.count(":") != 1:
        raise NotGenuineError(f"the token is of {user.username!r}, which is no service account")
    node = (user.extra or {}).get(NODE_CLAIM) or [""]
    return Holder(account.replace(":", "/"), str(node[0]))
