"""An Issuer or ClusterIssuer of cert-manager as ours: pure."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from csr_operator.api.names import OPERATOR_NAMESPACE

from .convert_parts import CREDENTIAL_LABEL, Notes, fields, head, items, rest

Raw = Mapping[str, Any]

_NOT_HERE = {
    "vault": "there is no backend for HashiCorp Vault yet",
    "venafi": "there is no backend for Venafi yet",
}
_ACME = frozenset(
    (
        *("server", "email", "privateKeySecretRef", "preferredChain", "profile", "disableAccountKeyGeneration"),
        *("enableDurationFeature", "caBundle", "skipTLSVerify", "externalAccountBinding", "solvers"),
    )
)
_PODS = ("serviceType", "podTemplate")
_TSIG = frozenset(("HMACSHA1", "HMACSHA224", "HMACSHA256", "HMACSHA384", "HMACSHA512"))


def issuer(document: Raw, notes: Notes) -> dict[str, Any] | None:
    """`document`: of the kind Issuer or ClusterIssuer, `cert-manager.io/v1`. None for a CA that there is no backend
    for."""
    spec, kind = fields(document, "spec"), str(document["kind"])
    obj, secrets = head(document, kind, notes), _Secrets(document, notes)
    for name, why in _NOT_HERE.items():
        if name in spec:
            notes.left_out(f"spec.{name}", f"{why}: a backend of your own takes some fifty lines (docs/backends.md)")
            return None
    if "ca" in spec:
        ours: dict[str, Any] = {"ca": _ca(fields(spec, "ca"), notes, secrets)}
    elif "selfSigned" in spec:
        ours = {"selfSigned": {}}
        for name in fields(spec, "selfSigned"):
            notes.left_out(f"spec.selfSigned.{name}", "a self-signed certificate cannot be revoked")
    elif "acme" in spec:
        ours = {"acme": _acme(fields(spec, "acme"), notes, secrets)}
    else:
        notes.left_out("spec", "none of acme, ca, selfSigned, vault and venafi is in it")
        return None
    rest(spec, ("ca", "selfSigned", "acme"), "spec", notes)
    return obj | {"spec": ours}


class _Secrets:
    """Where the Secrets of an issuer have to be, and what lets it use them."""

    def __init__(self, document: Raw, notes: Notes) -> None:
        metadata = fields(document, "metadata")
        self.issuer, self._notes = str(metadata.get("name")), notes
        self.of_cluster = document["kind"] == "ClusterIssuer"
        self.namespace = OPERATOR_NAMESPACE if self.of_cluster else str(metadata.get("namespace") or "")

    @property
    def option(self) -> str:
        """As kubectl takes it; empty for the namespace of its context."""
        return f" -n {self.namespace}" if self.namespace else ""

    @property
    def theirs(self) -> str:
        return " -n cert-manager" if self.of_cluster else self.option

    def uses(self, ref: Any, field: str, *, credential: bool = True) -> dict[str, Any]:
        """The reference as ours, with a note on what its Secret needs."""
        given = ref if isinstance(ref, Mapping) else {"name": ref}
        name = given.get("name")
        if self.of_cluster:
            copy = f"jq 'del(.metadata) + {{metadata: {{name: \"{name}\"}}}}'"
            command = f"kubectl get secret {name} -n cert-manager -o json | {copy} | kubectl apply{self.option} -f -"
            self._notes.add(f"{field}: Secret {name} has to be in the operator's namespace: {command}")
        elif credential:
            self._notes.add(
                f"{field}: its Secret has to allow that: kubectl label secret {name}{self.option} {CREDENTIAL_LABEL}"
            )
        return {part: given[part] for part in ("name", "key") if given.get(part)}

    def remade(self, provider: str, keys: Mapping[str, Any], field: str) -> dict[str, Any]:
        """A new Secret with the keys that Lexicon wants. keys: where each value is now, a reference, or a text."""
        name = f"{self.issuer}-{provider}"
        parts = []
        for key, value in keys.items():
            if isinstance(value, Mapping):
                path = str(value.get("key")).replace(".", r"\.")
                old = f"kubectl get secret {value.get('name')}{self.theirs} -o jsonpath='{{.data.{path}}}'"
                encoded = key == "auth_service_account_info"  # which Lexicon takes in base64
                value = f"base64::$({old})" if encoded else f"$({old} | base64 -d)"
                parts.append(f'--from-literal={key}="{value}"')
            else:
                parts.append(f"--from-literal={key}={value}")
        lines = " \\\n".join(
            [f"kubectl create secret generic {name}{self.option} --type=csr-operator.dev/credential", *parts]
        )
        self._notes.add(f"{field}: Secret {name} has to have what Lexicon takes:\n{lines}")
        return {"name": name}


def _ca(given: Raw, notes: Notes, secrets: _Secrets) -> dict[str, Any]:
    if urls := items(given, "crlDistributionPoints"):
        notes.left_out(
            "spec.ca.crlDistributionPoints",
            "the operator keeps the list itself: give spec.ca.crl a secretName, and as distributionPoints "
            f"{', '.join(map(str, urls))}",
        )
    for name in ("ocspServers", "issuingCertificateURLs"):
        if name in given:
            notes.left_out(f"spec.ca.{name}", "it has no counterpart here")
    rest(given, ("secretName", "crlDistributionPoints", "ocspServers", "issuingCertificateURLs"), "spec.ca", notes)
    return {"secretName": secrets.uses(given.get("secretName"), "spec.ca.secretName", credential=False).get("name")}


def _acme(given: Raw, notes: Notes, secrets: _Secrets) -> dict[str, Any]:
    where = "spec.acme"
    acme: dict[str, Any] = {"server": given.get("server")}
    if given.get("email"):
        acme["email"] = given["email"]
    acme["termsOfServiceAgreed"] = True
    notes.add(f"{where}.termsOfServiceAgreed: cert-manager agreed for you: read the CA's terms of service")
    acme["privateKeySecretRef"] = secrets.uses(given.get("privateKeySecretRef"), f"{where}.privateKeySecretRef")
    for name in ("preferredChain", "profile"):
        if given.get(name):
            acme[name] = given[name]
    for name in ("disableAccountKeyGeneration", "enableDurationFeature"):
        if name in given:
            acme[name] = bool(given[name])
    if given.get("caBundle"):
        pem = _pem(given["caBundle"])
        if pem is None:
            notes.left_out(f"{where}.caBundle", "it is not a certificate in base64")
        else:
            acme["caBundle"] = pem
            notes.add(f"{where}.caBundle: it is PEM here, not base64")
    if given.get("skipTLSVerify"):
        notes.left_out(f"{where}.skipTLSVerify", "give the CA of the server in caBundle")
    if binding := fields(given, "externalAccountBinding"):
        acme["externalAccountBinding"] = {
            "keyID": binding.get("keyID"),
            "keySecretRef": secrets.uses(binding.get("keySecretRef"), f"{where}.externalAccountBinding.keySecretRef"),
        }
        rest(binding, ("keyID", "keySecretRef", "keyAlgorithm"), f"{where}.externalAccountBinding", notes)
    solvers = [
        made
        for at, solver in enumerate(items(given, "solvers"))
        if isinstance(solver, Mapping)
        and (made := _solver(solver, f"{where}.solvers[{at}]", notes, secrets)) is not None
    ]
    if solvers:
        acme["solvers"] = solvers
    rest(given, _ACME, where, notes)
    return acme


def _pem(text: Any) -> str | None:
    if isinstance(text, str) and "-----BEGIN CERTIFICATE-----" in text:
        return text
    try:
        pem = base64.b64decode(str(text), validate=False).decode()
    except (binascii.Error, ValueError):
        return None
    return pem if "-----BEGIN CERTIFICATE-----" in pem else None


def _solver(given: Raw, where: str, notes: Notes, secrets: _Secrets) -> dict[str, Any] | None:
    solver: dict[str, Any] = {}
    selector = fields(given, "selector")
    if "matchLabels" in selector:
        notes.left_out(
            where,
            "selector.matchLabels has no counterpart, as users could choose a solver by it: use dnsNames",
        )
        return None  # without its selector it would be for names that it was not made for
    if names := {name: selector[name] for name in ("dnsNames", "dnsZones") if selector.get(name)}:
        solver["selector"] = names
    if "http01" in given:
        http01 = _http01(fields(given, "http01"), f"{where}.http01", notes)
        if not secrets.of_cluster:
            notes.add(
                f"{where}.http01: the operator answers for ClusterIssuers only: make this a ClusterIssuer, use dns01, "
                "or start the operator with --http01-issuers=All (docs/http01.md#issuers-of-a-namespace)"
            )
        return None if http01 is None else solver | {"http01": http01}
    if "dns01" in given:
        dns01 = _dns01(fields(given, "dns01"), f"{where}.dns01", notes, secrets)
        return None if dns01 is None else solver | {"dns01": dns01}
    notes.left_out(where, "neither http01 nor dns01 is in it")
    return None


def _http01(given: Raw, where: str, notes: Notes) -> dict[str, Any] | None:
    if "gatewayHTTPRoute" in given:
        route = fields(given, "gatewayHTTPRoute")
        for name in _PODS:
            if name in route:
                notes.left_out(f"{where}.gatewayHTTPRoute.{name}", "there are no solver pods")
        kept = {name: route[name] for name in ("labels", "parentRefs") if route.get(name)}
        if "parentRefs" not in kept:
            notes.left_out(f"{where}.gatewayHTTPRoute", "it takes parentRefs")
            return None
        return {"gatewayHTTPRoute": kept}
    ingress = fields(given, "ingress")
    for name in _PODS:
        if name in ingress:
            notes.left_out(f"{where}.ingress.{name}", "there are no solver pods")
    if ingress.get("name"):
        notes.add(f"{where}.ingress.name: no Ingress of others is changed here: one is made for each challenge")
    kept = {name: ingress[name] for name in ("ingressClassName", "class") if ingress.get(name)}
    template = fields(fields(ingress, "ingressTemplate"), "metadata")
    if metadata := {name: dict(fields(template, name)) for name in ("labels", "annotations") if fields(template, name)}:
        kept["ingressTemplate"] = {"metadata": metadata}
    rest(ingress, ("name", "serviceType", "podTemplate", "ingressClassName", "class", "ingressTemplate"), where, notes)
    return {"ingress": kept}


def _dns01(given: Raw, where: str, notes: Notes, secrets: _Secrets) -> dict[str, Any] | None:
    if "cnameStrategy" in given:
        notes.left_out(f"{where}.cnameStrategy", "CNAME records are always followed")
    for name, convert in _PROVIDERS.items():
        if name in given:
            return convert(fields(given, name), f"{where}.{name}", notes, secrets)
    named = sorted(given.keys() - {"cnameStrategy"})
    notes.left_out(where, f"there is no counterpart of {', '.join(named) or 'nothing'}: see docs/dns.md")
    return None


def _rfc2136(given: Raw, where: str, notes: Notes, secrets: _Secrets) -> dict[str, Any]:
    ours: dict[str, Any] = {"nameserver": given.get("nameserver")}
    if given.get("tsigKeyName"):
        ours["tsigKeyName"] = given["tsigKeyName"]
        algorithm = str(given.get("tsigAlgorithm") or "HMACMD5")
        if algorithm in _TSIG:
            ours["tsigAlgorithm"] = algorithm
        else:
            notes.add(f"{where}.tsigAlgorithm: HMACSHA256 instead of {algorithm}, which is not offered")
        ours["tsigSecretSecretRef"] = secrets.uses(given.get("tsigSecretSecretRef"), f"{where}.tsigSecretSecretRef")
    if given.get("protocol"):
        notes.left_out(f"{where}.protocol", "it is chosen by itself")
    rest(given, ("nameserver", "tsigKeyName", "tsigAlgorithm", "tsigSecretSecretRef", "protocol"), where, notes)
    return {"rfc2136": ours}


def _acme_dns(given: Raw, where: str, notes: Notes, secrets: _Secrets) -> dict[str, Any]:
    ref = secrets.uses(given.get("accountSecretRef"), f"{where}.accountSecretRef")
    rest(given, ("host", "accountSecretRef"), where, notes)
    return {"acmeDNS": {"host": given.get("host"), "accountSecretRef": ref}}


def _webhook(given: Raw, where: str, notes: Notes, secrets: _Secrets) -> None:
    solver = f"{given.get('solverName')} of {given.get('groupName')}"
    notes.left_out(
        where,
        f"webhook solvers of cert-manager ({solver}) are API servers: use lexicon, if it knows that service, "
        "or our webhook, which is a URL (docs/dns.md)",
    )


def _cloudflare(given: Raw, where: str, notes: Notes, secrets: _Secrets) -> dict[str, Any]:
    if token := fields(given, "apiTokenSecretRef"):
        return _lexicon("cloudflare", {"auth_token": token}, where, secrets)
    keys = {"auth_username": given.get("email"), "auth_token": fields(given, "apiKeySecretRef")}
    return _lexicon("cloudflare", keys, where, secrets)


def _route53(given: Raw, where: str, notes: Notes, secrets: _Secrets) -> dict[str, Any]:
    for name in ("role", "auth"):
        if name in given:
            notes.left_out(f"{where}.{name}", "roles are not used here: it takes the access key of a user")
    keys = {
        "auth_access_key": fields(given, "accessKeyIDSecretRef") or given.get("accessKeyID") or "KEY-ID",
        "auth_access_secret": fields(given, "secretAccessKeySecretRef") or "KEY",
    }
    options = {"zone_id": str(given["hostedZoneID"])} if given.get("hostedZoneID") else {}
    return _lexicon("route53", keys, where, secrets, options)


def _digitalocean(given: Raw, where: str, notes: Notes, secrets: _Secrets) -> dict[str, Any]:
    return _lexicon("digitalocean", {"auth_token": fields(given, "tokenSecretRef")}, where, secrets)


def _azure(given: Raw, where: str, notes: Notes, secrets: _Secrets) -> dict[str, Any]:
    if "managedIdentity" in given:
        notes.left_out(f"{where}.managedIdentity", "identities of pods are not used here: it takes a client secret")
    if str(given.get("environment") or "AzurePublicCloud") != "AzurePublicCloud":
        notes.left_out(f"{where}.environment", "Lexicon knows the public cloud alone")
    keys = {"auth_client_secret": fields(given, "clientSecretSecretRef") or "SECRET"}
    options = {
        ours: str(given[theirs])
        for theirs, ours in (
            ("clientID", "auth_client_id"),
            ("tenantID", "auth_tenant_id"),
            ("subscriptionID", "auth_subscription_id"),
            ("resourceGroupName", "resource_group"),
        )
        if given.get(theirs)
    }
    return _lexicon("azure", keys, where, secrets, options, str(given.get("hostedZoneName") or ""))


def _google(given: Raw, where: str, notes: Notes, secrets: _Secrets) -> dict[str, Any]:
    account = fields(given, "serviceAccountSecretRef")
    if not account:
        notes.left_out(f"{where}", "the identity of the pod is not used here: it takes the key of a service account")
    return _lexicon("googleclouddns", {"auth_service_account_info": account or "base64::JSON"}, where, secrets)


def _lexicon(
    provider: str, keys: Raw, where: str, secrets: _Secrets, options: Raw | None = None, zone: str = ""
) -> dict[str, Any]:
    lexicon: dict[str, Any] = {"provider": provider}
    if zone:
        lexicon["zone"] = zone
    lexicon["credentialsSecretRef"] = secrets.remade(provider, keys, where)
    if options:
        lexicon["options"] = dict(options)
    return {"lexicon": lexicon}


_PROVIDERS: Mapping[str, Callable[[Raw, str, Notes, _Secrets], dict[str, Any] | None]] = {
    "rfc2136": _rfc2136,
    "acmeDNS": _acme_dns,
    "webhook": _webhook,
    "cloudflare": _cloudflare,
    "route53": _route53,
    "digitalocean": _digitalocean,
    "azureDNS": _azure,
    "cloudDNS": _google,
}
