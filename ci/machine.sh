#!/usr/bin/env bash
# Readies a bare Debian-like machine (tested: Debian 12) for all that this project does, as root. What the README
# names, and what builds in containers, cross-compiling and their tests need beyond it:
#   docker.io          the container engine; started when none answers
#   mmdebstrap         base images from the machine's own Debian mirror, where no registry is in reach
#   qemu-user-static   runs images of the other architecture, once the kernel has it registered (binfmt_misc)
#   g++-*-linux-gnu    compiles for the other architecture
#   ccache             compiles what did not change once
#   chromium           opens the site in its tests
#   python3-dev        compiles extensions that use Python's own interface
#   strace             sees which changes of files the kill tests of releases have to try
#   nginx-light        serves the index with the configuration that is made for it; its service is not needed
# Running it again changes nothing and takes a fraction of a second.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: bash ci/machine.sh [--check | --beyond]
  --check    change nothing; say what is missing and leave with status 1 when something is
  --beyond   change nothing; print the packages that the README does not name
USAGE
}

fail() {
  printf 'ci/machine.sh: %s\n' "$1" >&2
  [ $# -lt 2 ] || printf '  next: %s\n' "$2" >&2
  exit 1
}

check=no
case "${1-}" in
  "") ;;
  --check) check=yes ;;
  --beyond) check=beyond ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; fail "unknown option: $1" ;;
esac

docker_log=/var/log/dockerd.log
docker_wait=60 # seconds that a fresh dockerd gets to answer
binfmt=/proc/sys/fs/binfmt_misc

case "$(uname -m)" in
  x86_64) foreign=qemu-aarch64 cross=g++-aarch64-linux-gnu ;;
  aarch64) foreign=qemu-x86_64 cross=g++-x86-64-linux-gnu ;;
  *) fail "machines of type $(uname -m) are not supported" "use an x86_64 or an aarch64 machine" ;;
esac

named=(ca-certificates g++ git python3-venv)
beyond=(docker.io mmdebstrap qemu-user-static "$cross" ccache chromium nginx-light python3-dev strace)
if [ "$check" = beyond ]; then
  printf '%s\n' "${beyond[@]}"
  exit 0
fi

# ------------------------------------------------------------------------------------------- what is missing
packages_missing() {
  local package
  for package in "${named[@]}" "${beyond[@]}"; do
    # Another docker (the vendor's docker-ce) serves as well as Debian's.
    [ "$package" = docker.io ] && command -v dockerd >/dev/null && continue
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done
}

# A connection is all that is asked of the engine: a client program need not be installed.
docker_answers() {
  if command -v docker >/dev/null; then
    docker version --format '{{.Server.Version}}' >/dev/null 2>&1
  else
    curl -fs --max-time 5 --unix-socket /var/run/docker.sock http://docker/_ping >/dev/null 2>&1
  fi
}

# The flag F keeps the interpreter open in the kernel, so it serves inside containers, which do not have its file.
binfmt_registered() {
  [ -r "$binfmt/$foreign" ] && grep -q '^enabled' "$binfmt/$foreign" && grep -q '^flags:.*F' "$binfmt/$foreign"
}

# ---------------------------------------------------------------------------------------------- mending it
install_packages() {
  local log
  log=$(mktemp)
  echo "installing: $*"
  if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"; } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    fail "apt-get could not install $*" "read $log; is the mirror in apt's configuration in reach?"
  fi
  rm -f "$log"
}

register_binfmt() {
  local line=/usr/lib/binfmt.d/$foreign.conf
  if [ ! -e "$binfmt/register" ]; then
    mount -t binfmt_misc binfmt_misc "$binfmt" 2>/dev/null ||
      fail "the kernel's binfmt_misc cannot be mounted on $binfmt" \
        "run this on the host itself or in a privileged container; the kernel needs CONFIG_BINFMT_MISC"
  fi
  binfmt_registered && return
  [ -r "$line" ] || fail "$line is missing although qemu-user-static is installed" "apt-get install --reinstall qemu-user-static"
  [ ! -e "$binfmt/$foreign" ] || echo -1 >"$binfmt/$foreign" # registered without F, or disabled: once more
  # One write(2) with the whole line, backslashes as they are: that is the kernel's interface.
  cat "$line" >"$binfmt/register" || fail "the kernel refused to register $foreign" "look at: dmesg | tail"
  binfmt_registered || fail "$foreign is registered, but disabled or without the flag F" "cat $binfmt/$foreign"
}

start_docker() {
  local waited=0
  if [ -d /run/systemd/system ]; then
    systemctl start docker >/dev/null 2>&1 || true
  else
    setsid nohup dockerd >>"$docker_log" 2>&1 </dev/null &
  fi
  until docker_answers; do
    waited=$((waited + 1))
    if [ "$waited" -ge $((docker_wait * 5)) ]; then
      [ ! -r "$docker_log" ] || tail -n 5 "$docker_log" >&2
      fail "dockerd did not answer within $docker_wait s" "read $docker_log (or: journalctl -u docker)"
    fi
    sleep 0.2
  done
}

# ---------------------------------------------------------------------------------------------------- main
mapfile -t missing < <(packages_missing)
todo=("${missing[@]}")
binfmt_registered || todo+=("binfmt registration of $foreign")
docker_answers || todo+=("a running dockerd")

if [ "${#todo[@]}" = 0 ]; then
  echo "ready: docker, mmdebstrap, $foreign, $cross, ccache, chromium, nginx, Python headers, strace"
  exit 0
fi
if [ "$check" = yes ]; then
  printf -v list '%s, ' "${todo[@]}"
  fail "missing: ${list%, }" "run as root: bash ci/machine.sh"
fi
[ "$(id -u)" = 0 ] || fail "this needs root" "run: sudo bash ci/machine.sh"
command -v apt-get >/dev/null || fail "apt-get is not here: this readies Debian-like machines" \
  "install ${named[*]} ${beyond[*]} by hand, then run: bash ci/machine.sh --check"

[ "${#missing[@]}" = 0 ] || install_packages "${missing[@]}"
binfmt_registered || register_binfmt
docker_answers || start_docker
echo "ready: docker, mmdebstrap, $foreign, $cross, ccache, chromium, nginx, Python headers, strace"
