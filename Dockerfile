# Any image with python3 (3.11 or newer), its venv module and the CA certificates serves as the base.
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/csr-operator
WORKDIR /src
COPY pyproject.toml README.md ./
COPY operator operator
# Both secrets are optional: a pip.conf naming another index, and the CA bundle that index needs
# (cert = /run/secrets/ca.crt). As secrets they leave no trace in the image or its history.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.crt \
    /opt/build/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /dist . \
    && /opt/build/bin/pip --python /opt/csr-operator/bin/python install --no-cache-dir /dist/*.whl
# Apart from the operator, since what Lexicon needs for Route 53 (python-dateutil 2) does not go with the Kubernetes client.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.crt \
    python3 -m venv --without-pip /opt/dns-lexicon \
    && /opt/build/bin/pip --python /opt/dns-lexicon/bin/python install --no-cache-dir 'dns-lexicon[route53]>=3.25.2,<4'

FROM ${PYTHON_IMAGE}
# `make image` takes them from pyproject.toml and the commit.
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="csr-operator" \
      org.opencontainers.image.description="A Kubernetes operator that runs the whole life of a certificate signing request" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/dns-lexicon /opt/dns-lexicon
COPY --from=build /opt/csr-operator /opt/csr-operator
ENV PATH=/opt/csr-operator/bin:$PATH CSR_OPERATOR_LEXICON_PYTHON=/opt/dns-lexicon/bin/python
# Numeric, so that the kubelet can tell that it is not root.
USER 65532:65532
EXPOSE 8080 8081 8089
ENTRYPOINT ["csr-operator"]
CMD ["run"]
