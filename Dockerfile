# Any image with python3 (3.11 or newer), its venv module and the CA certificates serves as the base.
# This one is python:3.13-slim, Python 3.13.15 on Debian 13, for amd64 and arm64 among others.
ARG PYTHON_IMAGE=docker.io/library/python@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b
# `make image` takes it from the latest tag: git is not in the build's context.
ARG VERSION=0.0.0

FROM ${PYTHON_IMAGE} AS build
RUN python3 -m venv /opt/build \
    && python3 -m venv --without-pip /opt/csr-operator \
    && python3 -m venv --without-pip /opt/dns-lexicon
WORKDIR /src
COPY deploy/requirements /requirements
# Lexicon is apart, since what it needs for Route 53 (python-dateutil 2) does not go with the Kubernetes client.
# Both secrets are optional: a pip.conf naming another index, and the CA bundle that index needs
# (cert = /run/secrets/ca.crt). As secrets they leave no trace in the image or its history.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.crt \
    install() { /opt/build/bin/pip --python "$1" install --no-cache-dir --require-hashes --requirement "$2"; } \
    && install /opt/build/bin/python /requirements/build.txt \
    && install /opt/csr-operator/bin/python /requirements/operator.txt \
    && install /opt/dns-lexicon/bin/python /requirements/lexicon.txt
COPY pyproject.toml README.md ./
COPY operator operator
ARG VERSION
# From here on nothing is fetched.
RUN SETUPTOOLS_SCM_PRETEND_VERSION="${VERSION}" \
    /opt/build/bin/pip wheel --no-index --no-build-isolation --no-deps --wheel-dir /dist . \
    && /opt/build/bin/pip --python /opt/csr-operator/bin/python install --no-index --no-deps /dist/*.whl

FROM ${PYTHON_IMAGE}
ARG VERSION
# `make image` takes it from the commit.
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
