#!/bin/sh
# Install TimescaleDB on a WASM PostgreSQL for the tests of the TimescaleDB layout, where npm is at hand.
set -eu
cd "$(dirname "$0")/../tests/timescale"
if ! command -v npm >/dev/null; then
    echo "      npm is missing: the tests of the TimescaleDB layout will be skipped"
    exit 0
fi
echo "      installing what tests/timescale/package-lock.json pins"
npm ci --silent --no-audit --no-fund >/dev/null
