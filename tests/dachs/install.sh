#!/bin/bash
# Install DaCHS, a VO server, and PostgreSQL from Debian's packages, as root: about a minute and
# 600 MB. Does nothing where they are installed, and fails where there is no Debian or no network.
set -e
installed() {
    command -v dachs && ls /usr/share/postgresql/*/extension/{pg_sphere,q3c}.control
} > /dev/null 2>&1
installed && exit 0
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# The release's PostgreSQL, by which its extensions are named: postgresql-15 in Debian 12.
SERVER=$(apt-cache depends postgresql | grep -o 'postgresql-[0-9]*' | head -1)
apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 \
    python3-gavo "$SERVER" "$SERVER-pgsphere" "$SERVER-q3c"
installed
