# One gateway with every extra: docker build -t gateway . && docker run -p 3001:3001 -v gateway:/var/lib/gateway gateway
FROM python:3.11-slim

WORKDIR /src
COPY pyproject.toml README.md ./
COPY gateway gateway
COPY signaling signaling
RUN pip install --no-cache-dir '.[livekit,postgresql,redis,s3]'

# The folder of uploads too: a volume that is mounted there takes its owner from it.
RUN useradd --system gateway && install -d -o gateway /var/lib/gateway /var/lib/gateway/uploads
USER gateway
WORKDIR /var/lib/gateway
ENV GATEWAY_DATA=/var/lib/gateway
EXPOSE 3001

ENTRYPOINT ["gateway"]
CMD ["serve"]
