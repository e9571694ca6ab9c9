FROM debian:bookworm
RUN apt-get update && apt-get install -y --no-install-recommends g++ make python3-dev python3-venv git \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /toroni
COPY . .
CMD ["make", "demo"]
