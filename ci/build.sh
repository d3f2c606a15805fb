#!/usr/bin/env bash
# The documented source build: makes the wheel of one Python for this machine's architecture, in a builder image
# (docker/X86, docker/ARM) or on any machine with a C++ compiler:
#
#   cd /home/pytorch && bash ci/build.sh --python=3.8
#
# What is built, and how, is wheelmill's business; this finds a Python that runs it and passes the words on.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: bash ci/build.sh --python=X.Y [--torch=X.Y.Z] [--line=BRANCH]
  --python  the Python that the wheel is for; it need not be installed
  --torch   of the newest line with this torch  [default: the newest line that supports the Python]
  --line    of this release line, e.g. v2.1.0-5.0.rc3
USAGE
}

fail() {
  printf 'ci/build.sh: %s\n' "$1" >&2
  printf '  next: %s\n' "$2" >&2
  exit 1
}

python='' words=()
while [ $# -gt 0 ]; do
  # `--name value` counts as `--name=value`.
  case "$1" in
    --python | --torch | --line)
      [ $# -ge 2 ] || fail "$1 needs a value" "bash ci/build.sh --help"
      set -- "$1=$2" "${@:3}"
      ;;
  esac
  case "$1" in
    --python=*) python=${1#*=} ;;
    --torch=* | --line=*) words+=("$1") ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; fail "unknown option: $1" "bash ci/build.sh --python=3.8" ;;
  esac
  shift
done
[ -n "$python" ] || fail "--python is missing" "bash ci/build.sh --python=3.8"
[[ $python =~ ^3\.[0-9]+$ ]] || fail "--python=$python is not a Python version such as 3.8" "bash ci/build.sh --python=3.8"

cd "$(dirname "$0")/.."

# wheelmill runs on Python 3.10 or newer, whatever Python the wheel is for. manylinux images have theirs in /opt/python.
runs_wheelmill() { "$1" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }
runner=
for candidate in python3 /opt/python/cp31[0-9]-cp31[0-9]/bin/python python3.1{3,2,1,0}; do
  if command -v "$candidate" >/dev/null && runs_wheelmill "$candidate"; then
    runner=$candidate
    break
  fi
done
[ -n "$runner" ] || fail "no Python 3.10 or newer with venv here, which wheelmill runs on" \
  "use a manylinux base for the image, or run on the host: wheelmill build $python-$(uname -m) --engine docker"

environment=${WHEELMILL_HOME:-.wheelmill}/build-environment
if [ ! -e "$environment/ready" ]; then
  rm -rf "$environment"
  "$runner" -m venv "$environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check -e '.[make]' ||
    fail "pip could not install wheelmill's own dependencies" "check pip's index and network: pip config list"
  touch "$environment/ready"
fi
exec "$environment/bin/python" -m wheelmill build "$python-$(uname -m)" --engine host "${words[@]}"
