#!/bin/sh
# Everything of the image that is ours: certificates, places, who owns them, and no setuid file.
# Runs as root in `docker build`, after install.sh; needs no network.
set -eu

update-ca-certificates

# Places of a session. /var/lib/freehold is the toolbox's: its journal and its socket.
mkdir -p /workspace /mnt/session/outputs /var/lib/freehold
chown 1000:1000 /workspace /mnt/session /mnt/session/outputs /var/lib/freehold
chmod 700 /var/lib/freehold

# Prefixes that package managers install into without root; PATH names each (see Dockerfile).
for place in .npm-global/bin .npm-global/lib .local/bin .cargo/bin go/bin .gem/bin; do
    mkdir -p "/home/agent/$place"
done
chown -R 1000:1000 /home/agent/.npm-global /home/agent/.local /home/agent/.cargo \
    /home/agent/go /home/agent/.gem

# Where the server mounts something into /workspace, that folder is the server's and not the agent's,
# and git would refuse to work in it. The check protects users of one machine from each other, and
# a sandbox has one.
if command -v git > /dev/null; then
    git config --system --replace-all safe.directory '*'
fi

# A login shell starts from /etc/profile, which forgets the image's PATH.
printf 'export PATH="%s"\n' "$PATH" > /etc/profile.d/freehold.sh

# Nothing may change its user or group by being run.
find / -xdev -type f -perm /6000 -exec chmod a-s {} +
left=$(find / -xdev -type f -perm /6000)
if [ -n "$left" ]; then
    echo "freehold: setuid or setgid files are left: $left" >&2
    exit 1
fi
