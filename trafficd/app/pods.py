"""Enrolment with the tokens of a cluster's pods; apart, because it takes the packages of ``trafficd[kubernetes]``."""

from __future__ import annotations

from pathlib import Path

from grpc import StatusCode

from trafficd.kube import review
from trafficd.server.identity import RefusedError


class ServiceAccountTokens:
    """Projected tokens of one service account of a Kubernetes cluster: a pod enrols the node that it runs on."""

    def __init__(self, account: str, kubeconfig: Path | None = None) -> None:
        self._account, self._kubeconfig = account, kubeconfig

    def redeem(self, token: str, node: str) -> None:
        try:
            found = review.holder(token, self._kubeconfig)
        except review.NotGenuineError as e:
            raise RefusedError(StatusCode.PERMISSION_DENIED, str(e)) from e
        except review.KubeError as e:
            raise RefusedError(StatusCode.UNAVAILABLE, str(e)) from e
        if found.account != self._account:
            raise RefusedError(
                StatusCode.PERMISSION_DENIED,
                f"the token is of service account {found.account}, and nodes enrol with {self._account}",
            )
        if not found.node:
            raise RefusedError(
                StatusCode.FAILED_PRECONDITION,
                "the API server does not say on which node the token's pod runs: that takes Kubernetes 1.30; "
                f"enrol with a token of trafficd certs token --node {node}",
            )
        if found.node != node:
            raise RefusedError(
                StatusCode.PERMISSION_DENIED, f"the token's pod runs on node {found.node} and not on {node}"
            )
