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

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/csr-operator /opt/csr-operator
ENV PATH=/opt/csr-operator/bin:$PATH
# Numeric, so that the kubelet can tell that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["csr-operator"]
CMD ["run"]
