#!/usr/bin/env bash
# Makes an Ubuntu 24.04 machine ready for its role: bootstrap.sh ROLE (kafka, mongo, processor or
# producers), as root, on the machine. Docker and Compose from Ubuntu's own archive, SSH by keys only,
# the firewall. May be repeated. Environment: MY_IP_CIDR, and the addresses: see deploy/host/ufw/gtap-ufw.
set -euo pipefail

role=${1:?kafka, mongo, processor or producers}
host=$(cd "$(dirname "${BASH_SOURCE[0]}")/../deploy/host" && pwd)

# Wrong settings are refused before anything is changed.
"$host/ufw/gtap-ufw" "$role" --dry-run >/dev/null

export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q install --yes --no-install-recommends docker.io docker-compose-v2 ufw
systemctl enable --now docker

install -m 0644 "$host/ssh/10-gtap.conf" /etc/ssh/sshd_config.d/10-gtap.conf
sshd -t
systemctl reload ssh

"$host/ufw/gtap-ufw" "$role"
install -d -m 0750 -g 10001 /etc/gtap/secrets
