"""Mallory, who has `edit` in a namespace, and what the operator keeps in the Secrets there."""

import base64
import json
from typing import Any

import pytest

from csr_operator.api.names import GROUP
from tests.support.authorities import opaque
from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import request
from tests.support.site import REQUEST, Site

REFUSED = "what the operator keeps in a Secret requires the permission `manage-state`, which {} does not have"
SECRET = "www-tls"


class Tenant:
    """kubectl as somebody to whom the namespace's role `edit` is bound."""

    def __init__(self, kubectl: Kubectl, name: str) -> None:
        self._kubectl, self.name = kubectl, name
        kubectl("create", "rolebinding", name, "--clusterrole=edit", f"--user={name}")

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        return self._kubectl(*arguments, f"--as={self.name}", stdin=stdin)

    def applies(self, secret: dict[str, Any], *arguments: str) -> str:
        return self("apply", *arguments, "-f", "-", stdin=json.dumps(secret))

    def is_refused(self, *arguments: str, stdin: str | None = None) -> None:
        with pytest.raises(AssertionError, match="manage-state") as refused:
            self(*arguments, stdin=stdin)
        assert REFUSED.format(self.name) in str(refused.value)


@pytest.fixture(scope="module")
def mallory(site: Site) -> Tenant:
    tenant = Tenant(site.kubectl, "mallory")
    site.kubectl.apply(request("www", "ca"))
    site.kubectl.wait_ready("www")

    def refused() -> bool:
        try:
            tenant("label", "secret", SECRET, f"{GROUP}/probe=true", "--dry-run=server")
        except AssertionError as error:
            return "manage-state" in str(error)
        return False

    wait_until("edit is aggregated, and the admission policy in force", refused, seconds=60)
    return tenant


def marked(name: str, **metadata: dict[str, str] | list[str]) -> dict[str, Any]:
    made = opaque(name, word="x")
    made["metadata"] |= metadata
    return made


STATE: dict[str, dict[str, dict[str, str] | list[str]]] = {
    "label": {"labels": {f"{GROUP}/staging": "true"}},
    "annotation": {"annotations": {f"{GROUP}/order": "https://ca.example.com/order/1"}},
    "empty annotation": {"annotations": {f"{GROUP}/owed-revocations": ""}},
    "finalizer": {"finalizers": [f"{GROUP}/order"]},
}


@pytest.mark.parametrize("kind", STATE)
def test_no_secret_is_made_with_state(mallory: Tenant, kind: str) -> None:
    forged = json.dumps(marked("forged", **STATE[kind]))
    mallory.is_refused("create", "-f", "-", stdin=forged)
    by_name = ("--server-side", "--field-manager=csr-operator")
    mallory.is_refused("apply", *by_name, "-f", "-", stdin=forged)


@pytest.mark.parametrize("kind", STATE)
def test_no_state_comes_to_a_secret_later(site: Site, mallory: Tenant, kind: str) -> None:
    mallory.applies(opaque("plain", word="x"))
    mallory.is_refused("patch", "secret", "plain", "--type=merge", "-p", json.dumps({"metadata": STATE[kind]}))
    replaced = site.kubectl.get("secret", "plain")
    replaced["metadata"] |= STATE[kind]
    mallory.is_refused("replace", "-f", "-", stdin=json.dumps(replaced))


@pytest.mark.parametrize(
    "change",
    [
        ("label", f"{GROUP}/managed-"),
        ("label", f"{GROUP}/managed=false", "--overwrite"),
        ("annotate", f"{GROUP}/revision-"),
        ("annotate", f"{GROUP}/revision=100000", "--overwrite"),
        ("annotate", f"{GROUP}/reference=100000001", "--overwrite"),
    ],
    ids=" ".join,
)
def test_none_of_what_is_there_is_changed_or_removed(site: Site, mallory: Tenant, change: tuple[str, ...]) -> None:
    before = site.kubectl.get("secret", SECRET)["metadata"]
    mallory.is_refused(change[0], "secret", SECRET, *change[1:])
    assert site.kubectl.get("secret", SECRET)["metadata"] == before


def test_who_writes_is_told_which_keys_and_what_to_do(mallory: Tenant) -> None:
    keys = {f"{GROUP}/serial": "1", "example.com/other": "2"}
    with pytest.raises(AssertionError) as refused:
        mallory.applies(marked("forged", annotations=keys, labels={f"{GROUP}/managed": "true"}))
    said = str(refused.value)
    assert "denied request: what the operator keeps in a Secret requires the permission `manage-state`" in said
    assert "out of a copy; to restore a backup, have the ClusterRole csr-operator-state-manager bound" in said
    assert f"; changed: {GROUP}/managed, {GROUP}/serial" in said


def test_a_copy_without_the_state_is_allowed(site: Site, mallory: Tenant) -> None:
    copy = site.kubectl.get("secret", SECRET)
    copy["metadata"] = {"name": "copy", **{key: copy["metadata"][key] for key in ("labels", "annotations")}}
    mallory.is_refused("create", "-f", "-", stdin=json.dumps(copy))
    copy["metadata"] = {"name": "copy", "labels": {"app": "shop"}}
    mallory("create", "-f", "-", stdin=json.dumps(copy))


def test_other_labels_annotations_and_finalizers_are_anybodys(site: Site, mallory: Tenant) -> None:
    mallory("label", "secret", SECRET, "app=shop", "csr-operator.example.com/managed=true")
    mallory("annotate", "secret", SECRET, "reloader.example.com/match=true")
    for finalizers in (["example.com/keep"], []):
        patch = json.dumps({"metadata": {"finalizers": finalizers}})
        mallory("patch", "secret", SECRET, "--type=merge", "-p", patch)
    mallory("label", "secret", SECRET, "app-")
    assert site.kubectl.get("secret", SECRET)["metadata"]["annotations"]["reloader.example.com/match"] == "true"


def test_gitops_applies_its_own_fields_to_a_secret_with_state(site: Site, mallory: Tenant) -> None:
    """By server-side apply and by the older one; what it does not name stays."""
    metadata = {"name": SECRET, "labels": {"argocd.argoproj.io/instance": "shop"}}
    theirs = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata}
    before = site.kubectl.get("secret", SECRET)["metadata"]["annotations"]
    mallory.applies(theirs, "--server-side", "--field-manager=argocd")
    mallory.applies({**theirs, "metadata": {**metadata, "annotations": {"a": "b"}}})
    assert before.items() <= site.kubectl.get("secret", SECRET)["metadata"]["annotations"].items()


def test_an_owner_says_that_a_secret_may_serve_as_a_credential(mallory: Tenant) -> None:
    allowed = f"{GROUP}/allow-credential"
    mallory.applies(marked("token", labels={allowed: "true"}, annotations={allowed: "true"}))
    mallory("label", "secret", "token", f"{allowed}=false", "--overwrite")
    mallory("label", "secret", "token", f"{allowed}-")


def test_data_is_its_owners_and_is_repaired(site: Site, mallory: Tenant) -> None:
    """Of two requests, as the second repair of one would wait (RenewalLoop)."""
    site.kubectl.apply(request("damaged", "ca"), request("deleted", "ca"))
    site.kubectl.wait_ready("damaged", "deleted")
    data = {"tls.crt": base64.b64encode(b"no certificate").decode()}
    mallory("patch", "secret", "damaged-tls", "--type=merge", "-p", json.dumps({"data": data}))
    wait_until("it is repaired", lambda: site.data("damaged-tls").get("tls.crt", "").startswith("-----BEGIN"))
    before = site.data("deleted-tls")
    mallory("delete", "secret", "deleted-tls")
    wait_until("it is made again", lambda: site.data("deleted-tls").get("tls.key") not in (None, before["tls.key"]))


def test_kubernetes_deletes_as_always(site: Site, mallory: Tenant) -> None:
    """The garbage collector writes finalizers and owners of Secrets that carry state."""
    for how in ("foreground", "orphan", "background"):
        site.kubectl.apply(request(how, "ca"))
        site.kubectl.wait_ready(how)
        mallory("delete", REQUEST, how, f"--cascade={how}", "--timeout=60s")
    orphan = site.kubectl.get("secret", "orphan-tls")
    assert "ownerReferences" not in orphan["metadata"]
    assert orphan["metadata"]["labels"][f"{GROUP}/managed"] == "true"
    for gone in ("foreground-tls", "background-tls"):
        wait_until(f"{gone} is gone", lambda gone=gone: site.kubectl.get("secret", gone) == {})  # type: ignore[misc]
    mallory("delete", "secret", "orphan-tls", "--cascade=foreground", "--timeout=60s")


def test_who_restores_a_backup_may(site: Site, mallory: Tenant) -> None:
    """With the role that is there for it; it does not come with `edit` or `admin`."""
    backup = site.kubectl.get("secret", SECRET)
    backup["metadata"] = {key: backup["metadata"][key] for key in ("labels", "annotations")} | {"name": "restored"}
    site.kubectl("create", "rolebinding", "admin", "--clusterrole=admin", "--user=oscar")
    restorer = Tenant(site.kubectl, "oscar")
    restorer.is_refused("create", "-f", "-", stdin=json.dumps(backup))
    site.kubectl("create", "rolebinding", "restores", "--clusterrole=csr-operator-state-manager", "--user=oscar")

    def restored() -> bool:
        try:
            restorer("create", "-f", "-", stdin=json.dumps(backup))
        except AssertionError:
            return False
        return True

    wait_until("the role is in force", restored)
    site.kubectl("delete", "secret", "restored")


def test_nobody_gives_themselves_the_right(site: Site) -> None:
    site.kubectl("create", "rolebinding", "owner", "--clusterrole=admin", "--user=olga")
    role = ("role", "mine", "--verb=manage-state", f"--resource=certificatestates.{GROUP}")
    rules = [{"apiGroups": [GROUP], "resources": ["certificatestates"], "verbs": ["manage-state"]}]
    made = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": role[1]}, "rules": rules}
    with pytest.raises(AssertionError, match="attempting to grant RBAC permissions not currently held"):
        site.kubectl("create", "-f", "-", "--as=olga", stdin=json.dumps(made))
