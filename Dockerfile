# One gateway with every extra: docker build -t gateway . && docker run -p 3001:3001 -v gateway:/var/lib/gateway gateway
# The first image has a compiler, for the parts in C, and is not kept.
FROM python:3.11 AS build

WORKDIR /src
COPY pyproject.toml README.md ./
COPY gateway gateway
COPY signaling signaling
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim

COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir "$(ls /wheels/*.whl)[livekit,postgresql,redis,s3]" && rm -r /wheels

# The folder of uploads too: a volume that is mounted there takes its owner from it.
RUN useradd --system gateway && install -d -o gateway /var/lib/gateway /var/lib/gateway/uploads
USER gateway
WORKDIR /var/lib/gateway
ENV GATEWAY_DATA=/var/lib/gateway
EXPOSE 3001

ENTRYPOINT ["gateway"]
CMD ["serve"]
